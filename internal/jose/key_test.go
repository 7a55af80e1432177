package jose_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/jose"
)

const rfc7638Modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

// TestThumbprintRFC7638 is the vector of RFC 7638 §3.1.
func TestThumbprintRFC7638(t *testing.T) {
	set, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"RSA","n":"` + rfc7638Modulus + `","e":"AQAB","alg":"RS256"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if ids := set.KeyIDs(); len(ids) != 1 || ids[0] != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint is %v", ids)
	}
}

func TestKeySurvivesMarshalling(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := jose.ParsePrivate([]byte(strings.Replace(string(private), key.KeyID, "another", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if again.KeyID != key.KeyID || string(again.Public()) != string(key.Public()) || again.Algorithm != "ES256" {
		t.Errorf("key became %v", again)
	}
}

func TestPublicHoldsNoPrivateMember(t *testing.T) {
	first, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	second, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(jose.PublicSet(first, second), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 || set.Keys[1]["kid"] != second.KeyID {
		t.Fatalf("set is %v", set)
	}
	for _, k := range set.Keys {
		if len(k) != 7 || k["use"] != "sig" || k["alg"] != "ES256" || k["kty"] != "EC" || k["crv"] != "P-256" || k["x"] == "" || k["y"] == "" {
			t.Errorf("public key is %v", k)
		}
	}
}

// TestKeyNeverPrintsItself: style rule 11, no secret in logs.
func TestKeyNeverPrintsItself(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key)
	for _, printed := range []string{fmt.Sprint(key), fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", key), fmt.Sprintf("%v", key), log.String()} {
		if !strings.Contains(printed, "ES256 key "+key.KeyID) || strings.Contains(printed, "0x") || len(printed) > 250 {
			t.Errorf("printed as %s", printed)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	f := newForge(t, "k1")
	for name, jwk := range map[string]string{
		"nothing": "", "no JSON": "secret", "a public key": f.jwk(t, ""), "a symmetric key": `{"kty":"oct","k":"AAAA"}`,
		"another curve": `{"kty":"EC","crv":"P-384","x":"AA","y":"AA","d":"AA"}`,
		"damaged":       f.jwk(t, `,"d":"AA"`),
	} {
		if _, err := jose.ParsePrivate([]byte(jwk)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := jose.Generate("HS256"); err == nil {
		t.Error("HS256 was generated")
	}
	if _, err := jose.NewSigner(jose.Key{}); err == nil {
		t.Error("an empty key signs")
	}
	if _, err := (jose.Key{}).MarshalPrivate(); err == nil {
		t.Error("an empty key was written")
	}
}

func TestParseKeySet(t *testing.T) {
	f := newForge(t, "k1")
	good := f.jwk(t, "")
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	for name, c := range map[string]struct {
		document string
		keys     int // 0: refused
	}{
		"one":                    {set(good), 1},
		"unknown members":        {set(f.jwk(t, `,"x5u":"https://evil.example","future":{"a":[1]}`)), 1},
		"unknown type beside":    {set(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, good), 1},
		"encryption key beside":  {set(f.jwk(t, `,"use":"enc"`), good), 1},
		"signing only beside":    {set(f.jwk(t, `,"key_ops":["sign"]`), good), 1},
		"damaged beside":         {set(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `7`, `null`, good), 1},
		"symmetric beside":       {set(`{"kty":"oct","kid":"k2","k":"c2VjcmV0"}`, good), 1},
		"Ed25519 (RFC 8037 A.2)": {set(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), 1},
		"only symmetric":         {set(`{"kty":"oct","k":"c2VjcmV0"}`), 0},
		"short RSA":              {set(`{"kty":"RSA","n":"` + rfc7638Modulus[:170] + `","e":"AQAB"}`), 0},
		"for another algorithm":  {set(f.jwk(t, `,"alg":"ES512"`)), 0},
		"point not on the curve": {set(`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}`), 0},
		"a private key":          {set(good, f.jwk(t, `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"`)), 0},
		"member twice":           {set(f.jwk(t, `,"kid":"k2"`)), 0},
		"keys twice":             {`{"keys":[],"keys":[` + good + `]}`, 0},
		"keys missing":           {`{}`, 0},
		"Keys":                   {`{"Keys":[` + good + `]}`, 0},
		"empty":                  {`{"keys":[]}`, 0},
		"no JSON":                {`<html>`, 0},
		"too many":               {set(strings.Split(strings.Repeat(good+"|", 64)+good, "|")...), 0},
		"too large":              {set(good) + strings.Repeat(" ", 256<<10), 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := jose.ParseKeySet([]byte(c.document))
			if (err == nil) != (c.keys > 0) {
				t.Fatalf("error is %v", err)
			}
			if err == nil && len(s.KeyIDs()) != c.keys {
				t.Errorf("keys are %v", s.KeyIDs())
			}
		})
	}
}

// TestAmbiguousKeyIsRefused: a token must not choose among keys by trial.
func TestAmbiguousKeyIsRefused(t *testing.T) {
	one, two := newForge(t, "k1"), newForge(t, "k2")
	set, err := jose.ParseKeySet([]byte(`{"keys":[` + one.jwk(t, "") + "," + two.jwk(t, "") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := jose.Verify(one.sign(t, `{"alg":"ES256","typ":"at+jwt"}`, goodPayload), set, expect(), &jose.AccessClaims{}); err == nil {
		t.Error("a token without kid was accepted with two keys")
	}
	if err := jose.Verify(one.sign(t, goodHeader, goodPayload), set, expect(), &jose.AccessClaims{}); err != nil {
		t.Error(err)
	}
}

func TestSignerIsSafeForConcurrentUse(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			if _, err := signer.Sign(fmt.Sprintf("type-%d", i%3), map[string]int{"i": i}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func FuzzParseKeySet(f *testing.F) {
	k := newForge(f, "k1")
	f.Add([]byte(`{"keys":[` + k.jwk(f, "") + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"` + rfc7638Modulus + `","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"oct"},null,[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := jose.ParseKeySet(data); err == nil && len(s.KeyIDs()) == 0 {
			t.Error("an empty set without an error")
		}
	})
}
