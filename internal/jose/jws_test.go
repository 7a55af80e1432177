package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/jose"
)

const (
	issuer = "https://login.example.com"
	api    = "https://api.example.com"
)

var now = time.Unix(1_800_000_000, 0)

// forge signs by hand, without the library, so that tests can write what no
// library would.
type forge struct {
	key *ecdsa.PrivateKey
	kid string
}

func newForge(t testing.TB, kid string) forge {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return forge{key, kid}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// jwk is the public key as a JWK, with more members before its end.
func (f forge) jwk(t testing.TB, more string) string {
	t.Helper()
	point, err := f.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q%s}`, f.kid, b64(point[1:33]), b64(point[33:]), more)
}

func (f forge) set(t testing.TB) *jose.KeySet {
	t.Helper()
	set, err := jose.ParseKeySet([]byte(`{"keys":[` + f.jwk(t, "") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (f forge) sign(t testing.TB, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + b64(signature)
}

const (
	goodHeader  = `{"alg":"ES256","typ":"at+jwt","kid":"k1"}`
	goodPayload = `{"iss":"https://login.example.com","aud":"https://api.example.com","sub":"alice","exp":1800000060,"iat":1800000000,"jti":"j","client_id":"agent"}`
)

func expect() jose.Expect {
	return jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: api, Now: now}
}

// TestVerifyRFC7515A3 is the ES256 vector of RFC 7515 appendix A.3.
func TestVerifyRFC7515A3(t *testing.T) {
	set, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"EC","crv":"P-256",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	token := "eyJhbGciOiJFUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	payload, err := jose.VerifySignature(token, set)
	if err != nil {
		t.Fatal(err)
	}
	if want := "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"; string(payload) != want {
		t.Errorf("payload is %q", payload)
	}
	if _, err := jose.VerifySignature(strings.Replace(token, "DtEh", "DtEi", 1), set); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("a changed signature: %v", err)
	}
}

// TestVerifyOtherAlgorithms has the vectors of RFC 7515 A.2 (RS256) and
// RFC 8037 A.4 (EdDSA).
func TestVerifyOtherAlgorithms(t *testing.T) {
	for name, c := range map[string]struct{ jwk, token string }{
		"RS256": {
			`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
			"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
				".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
		},
		"EdDSA": {
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
	} {
		set, err := jose.ParseKeySet([]byte(`{"keys":[` + c.jwk + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.VerifySignature(c.token, set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tampered := strings.Replace(c.token, ".RX", ".RY", 1)
		tampered = strings.Replace(tampered, ".cC", ".cD", 1)
		if _, err := jose.VerifySignature(tampered, set); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s, tampered: %v", name, err)
		}
	}
}

func TestVerifyWithoutKeysRefuses(t *testing.T) {
	f := newForge(t, "k1")
	if err := jose.Verify(f.sign(t, goodHeader, goodPayload), nil, expect(), &jose.AccessClaims{}); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("error is %v", err)
	}
}

func TestVerifyAcceptsWhatSignerSigned(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	minted := jose.AccessClaims{
		Issuer: issuer, Subject: "alice", Audience: api, ExpiresAt: now.Unix() + 60, IssuedAt: now.Unix(), ID: "j", ClientID: "gateway",
		Scope: "users:read", Act: &jose.Actor{Sub: "gateway", Act: &jose.Actor{Sub: "agent"}},
		Extra: map[string]any{"region": "USA", "client_assurance_level": 1},
	}
	token, err := signer.Sign("at+jwt", minted)
	if err != nil {
		t.Fatal(err)
	}
	var read jose.AccessClaims
	if err := jose.Verify(token, set, expect(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Subject != "alice" || read.Audience != api || read.Scope != "users:read" || read.Act.Sub != "gateway" || read.Act.Act.Sub != "agent" || read.Act.Act.Act != nil {
		t.Errorf("read %+v", read)
	}
	if read.Extra["region"] != "USA" || read.Extra["client_assurance_level"] != 1.0 || len(read.Extra) != 2 {
		t.Errorf("extra claims are %v", read.Extra)
	}
	var header map[string]any
	decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(decoded, &header); err != nil {
		t.Fatal(err)
	}
	if len(header) != 3 || header["alg"] != "ES256" || header["typ"] != "at+jwt" || header["kid"] != key.KeyID {
		t.Errorf("header is %v", header)
	}
}

// TestVerifyAccepts covers what RFCs leave to the signer.
func TestVerifyAccepts(t *testing.T) {
	f := newForge(t, "k1")
	for name, c := range map[string]struct{ header, payload string }{
		"as is":                  {goodHeader, goodPayload},
		"long typ, RFC 9068 §4":  {strings.Replace(goodHeader, "at+jwt", "application/AT+JWT", 1), goodPayload},
		"no kid, one key":        {`{"alg":"ES256","typ":"at+jwt"}`, goodPayload},
		"several audiences":      {goodHeader, strings.Replace(goodPayload, `"aud":"https://api.example.com"`, `"aud":["other","https://api.example.com"]`, 1)},
		"fractions, RFC 7519 §2": {goodHeader, strings.Replace(goodPayload, "1800000060", "1800000060.5", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			var claims jose.AccessClaims
			if err := jose.Verify(f.sign(t, c.header, c.payload), f.set(t), expect(), &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Subject != "alice" {
				t.Errorf("sub is %q", claims.Subject)
			}
		})
	}
}

// TestVerifyRefuses is RFC 8725 and security.md 8 and 13, one attack a line.
func TestVerifyRefuses(t *testing.T) {
	f, evil := newForge(t, "k1"), newForge(t, "k1")
	header := func(old, new string) string { return f.sign(t, strings.Replace(goodHeader, old, new, 1), goodPayload) }
	payload := func(old, new string) string { return f.sign(t, goodHeader, strings.Replace(goodPayload, old, new, 1)) }
	good := f.sign(t, goodHeader, goodPayload)
	part := strings.Split(good, ".")
	signing := func(header, payload string, secret []byte) string {
		input := b64([]byte(header)) + "." + b64([]byte(payload))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + b64(mac.Sum(nil))
	}
	hs256 := strings.Replace(goodHeader, "ES256", "HS256", 1)
	point, err := f.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	evilHeader := func(member string) string {
		return evil.sign(t, strings.Replace(goodHeader, "{", "{"+member+",", 1), goodPayload)
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"empty":              {"", jose.ErrMalformed},
		"two parts":          {part[0] + "." + part[1], jose.ErrMalformed},
		"five parts (JWE)":   {good + ".x.y", jose.ErrMalformed},
		"JSON serialisation": {`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, jose.ErrMalformed},
		"too long":           {good + strings.Repeat("A", 16<<10), jose.ErrMalformed},
		"line break inside":  {part[0] + "." + part[1] + "." + part[2][:20] + "\n" + part[2][20:], jose.ErrMalformed},
		"header no object":   {f.sign(t, `["ES256"]`, goodPayload), jose.ErrMalformed},
		"header null":        {f.sign(t, `null`, goodPayload), jose.ErrMalformed},
		"alg no string":      {header(`"ES256"`, `["ES256"]`), jose.ErrMalformed},

		"alg none":                     {b64([]byte(strings.Replace(goodHeader, "ES256", "none", 1))) + "." + part[1] + ".", jose.ErrSignature},
		"alg None":                     {b64([]byte(strings.Replace(goodHeader, "ES256", "None", 1))) + "." + part[1] + "." + part[2], jose.ErrSignature},
		"no alg":                       {header(`"alg":"ES256",`, ""), jose.ErrSignature},
		"no signature":                 {part[0] + "." + part[1] + ".", jose.ErrSignature},
		"HS256 with the public point":  {signing(hs256, goodPayload, point), jose.ErrSignature},
		"HS256 with the public JWK":    {signing(hs256, goodPayload, []byte(f.jwk(t, ""))), jose.ErrSignature},
		"RS256 with an EC key":         {header("ES256", "RS256"), jose.ErrSignature},
		"another key of the same kid":  {evil.sign(t, goodHeader, goodPayload), jose.ErrSignature},
		"unknown kid":                  {header(`"k1"`, `"k2"`), jose.ErrSignature},
		"kid as a path":                {header(`"k1"`, `"../../dev/null"`), jose.ErrSignature},
		"payload of another signature": {part[0] + "." + b64([]byte(strings.Replace(goodPayload, "alice", "admin", 1))) + "." + part[2], jose.ErrSignature},
		"zero signature":               {part[0] + "." + part[1] + "." + b64(make([]byte, 64)), jose.ErrSignature},

		"jwk":          {evilHeader(`"jwk":` + evil.jwk(t, "")), jose.ErrMalformed},
		"jku":          {evilHeader(`"jku":"https://evil.example/jwks"`), jose.ErrMalformed},
		"x5u":          {evilHeader(`"x5u":"https://evil.example/cert"`), jose.ErrMalformed},
		"x5c":          {evilHeader(`"x5c":["MIIB"]`), jose.ErrMalformed},
		"crit":         {header("{", `{"crit":["exp"],`), jose.ErrMalformed},
		"b64":          {header("{", `{"b64":false,`), jose.ErrMalformed},
		"alg twice":    {header("{", `{"alg":"none",`), jose.ErrMalformed},
		"typ twice":    {header("{", `{"typ":"at+jwt",`), jose.ErrMalformed},
		"no typ":       {header(`"typ":"at+jwt",`, ""), jose.ErrType},
		"typ JWT":      {header("at+jwt", "JWT"), jose.ErrType},
		"id token":     {header("at+jwt", "id_token+jwt"), jose.ErrType},
		"introspected": {header("at+jwt", "token-introspection+jwt"), jose.ErrType},
		"Typ":          {header(`"typ"`, `"Typ"`), jose.ErrType},

		"another issuer":     {payload("login.example", "evil.example"), jose.ErrIssuer},
		"issuer with slash":  {payload("login.example.com", "login.example.com/"), jose.ErrIssuer},
		"no issuer":          {payload(`"iss":"https://login.example.com",`, ""), jose.ErrIssuer},
		"issuer no string":   {payload(`"https://login.example.com"`, `["https://login.example.com"]`), jose.ErrMalformed},
		"another audience":   {payload("https://api.", "https://mcp."), jose.ErrAudience},
		"audience prefix":    {payload("https://api.example.com", "https://api.example.com.evil.example"), jose.ErrAudience},
		"no audience":        {payload(`"aud":"https://api.example.com",`, ""), jose.ErrAudience},
		"audience an object": {payload(`"aud":"https://api.example.com"`, `"aud":{}`), jose.ErrMalformed},
		"audience of number": {payload(`"aud":"https://api.example.com"`, `"aud":["https://api.example.com",1]`), jose.ErrMalformed},

		"expired":           {payload("1800000060", "1800000000"), jose.ErrExpired},
		"no exp":            {payload(`"exp":1800000060,`, ""), jose.ErrMalformed},
		"exp a string":      {payload("1800000060", `"1800000060"`), jose.ErrMalformed},
		"exp beyond all":    {payload("1800000060", "1e300"), jose.ErrMalformed},
		"exp negative":      {payload("1800000060", "-1"), jose.ErrMalformed},
		"exp null":          {payload("1800000060", "null"), jose.ErrMalformed},
		"nbf in the future": {payload("{", `{"nbf":1800000001,`), jose.ErrExpired},
		"iat in the future": {payload(`"iat":1800000000`, `"iat":1800000001`), jose.ErrExpired},
		"iss twice":         {payload("{", `{"iss":"https://login.example.com",`), jose.ErrMalformed},
		"sub twice":         {payload("{", `{"sub":"admin",`), jose.ErrMalformed},
		"nested twice":      {payload("{", `{"act":{"sub":"a","sub":"b"},`), jose.ErrMalformed},
		"escaped twice":     {payload("{", `{"\u0073ub":"admin",`), jose.ErrMalformed},
		"trailing data":     {f.sign(t, goodHeader, goodPayload+`{}`), jose.ErrMalformed},
		"payload no JSON":   {f.sign(t, goodHeader, `iss=x`), jose.ErrMalformed},
		"payload null":      {f.sign(t, goodHeader, `null`), jose.ErrIssuer},
		"sub of wrong type": {payload(`"alice"`, `7`), jose.ErrMalformed},
		"act of wrong type": {payload("{", `{"act":"gateway",`), jose.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			var claims jose.AccessClaims
			err := jose.Verify(c.token, f.set(t), expect(), &claims)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if claims.Subject != "" {
				t.Error("claims were filled")
			}
		})
	}
}

// TestVerifyTakesNamesExactly is security.md 13: encoding/json would read "Sub".
func TestVerifyTakesNamesExactly(t *testing.T) {
	f := newForge(t, "k1")
	token := f.sign(t, goodHeader, strings.Replace(goodPayload, "{", `{"Sub":"admin","SCOPE":"all","Act":{"Sub":"x"},`, 1))
	var claims jose.AccessClaims
	if err := jose.Verify(token, f.set(t), expect(), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "alice" || claims.Scope != "" || claims.Act != nil {
		t.Errorf("claims are %+v", claims)
	}
}

func TestVerifyHonoursExpectation(t *testing.T) {
	f := newForge(t, "k1")
	token := f.sign(t, goodHeader, goodPayload)
	for name, c := range map[string]struct {
		change func(*jose.Expect)
		want   error
	}{
		"algorithm not allowed":  {func(e *jose.Expect) { e.Algorithms = []string{"RS256"} }, jose.ErrSignature},
		"algorithm allowed":      {func(e *jose.Expect) { e.Algorithms = []string{"RS256", "ES256"} }, nil},
		"nothing expected: type": {func(e *jose.Expect) { e.Type = "" }, jose.ErrType},
		"no issuer expected":     {func(e *jose.Expect) { e.Issuer = "" }, jose.ErrIssuer},
		"no audience expected":   {func(e *jose.Expect) { e.Audience = "" }, jose.ErrAudience},
		"last moment":            {func(e *jose.Expect) { e.Now = now.Add(60*time.Second - 1) }, nil},
		"expiry":                 {func(e *jose.Expect) { e.Now = now.Add(60 * time.Second) }, jose.ErrExpired},
		"expiry within skew":     {func(e *jose.Expect) { e.Now, e.Skew = now.Add(60*time.Second), time.Second }, nil},
		"early":                  {func(e *jose.Expect) { e.Now = now.Add(-time.Second) }, jose.ErrExpired},
		"early within skew":      {func(e *jose.Expect) { e.Now, e.Skew = now.Add(-time.Second), time.Second }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := expect()
			c.change(&e)
			if err := jose.Verify(token, f.set(t), e, &jose.AccessClaims{}); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	k := newForge(f, "k1")
	set := k.set(f)
	good := k.sign(f, goodHeader, goodPayload)
	for _, seed := range []string{good, good + ".", "..", "", "eyJhbGciOiJub25lIn0.e30.", k.sign(f, `{"alg":"ES256"}`, `{}`), "e30.e30.e30"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		var claims jose.AccessClaims
		if err := jose.Verify(token, set, expect(), &claims); err == nil && token != good {
			t.Errorf("accepted %q", token)
		}
		jose.UnverifiedSubject(token)
	})
}
