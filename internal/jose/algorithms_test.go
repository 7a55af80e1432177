package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/jose"
)

// TestEveryAlgorithm: what each key signs verifies with its own set, by its own
// algorithm, and client assertions may be signed with each (R-CL extension
// oauth-client-credentials).
func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range jose.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			key, err := jose.Generate(algorithm)
			if err != nil {
				t.Fatal(err)
			}
			text, err := key.MarshalPrivate()
			if err != nil {
				t.Fatal(err)
			}
			again, err := jose.ParsePrivate(text)
			if err != nil || again.Algorithm != algorithm || again.KeyID != key.KeyID {
				t.Fatalf("read again: %v %v", again, err)
			}
			signer, err := jose.NewSigner(again)
			if err != nil {
				t.Fatal(err)
			}
			set, err := jose.ParseKeySet(jose.PublicSet(key))
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.Assertion(signer, "agent", issuer, now)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := jose.VerifyAssertion(token, set, "agent", []string{issuer}, now); err != nil {
				t.Error(err)
			}
			for _, other := range jose.Algorithms() {
				_, err := set.VerifyForeign(t.Context(), token, jose.ExpectForeign{Types: []string{"client-authentication+jwt"}, Algorithms: []string{other}, Now: now})
				if (err == nil) != (other == algorithm) || err != nil && !errors.Is(err, jose.ErrSignature) {
					t.Errorf("as %s: %v", other, err)
				}
			}
		})
	}
}

// TestRSAKeysWithoutAlgorithm: such a key verifies both of RSA's, and one that
// names its algorithm only that (RFC 8725 §3.1).
func TestRSAKeysWithoutAlgorithm(t *testing.T) {
	key, err := jose.Generate(jose.PS256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign("JWT", map[string]any{"exp": now.Unix() + 60})
	if err != nil {
		t.Fatal(err)
	}
	for old, c := range map[string]struct {
		alg string
		ok  bool
	}{`"alg":"PS256",`: {"", true}, `"alg":"PS256"`: {`"alg":"RS256"`, false}, `"use":"sig"`: {`"use":"sig"`, true}} {
		text := string(jose.PublicSet(key))
		if !strings.Contains(text, old) {
			t.Fatalf("%s lacks %s", text, old)
		}
		set, err := jose.ParseKeySet([]byte(strings.Replace(text, old, c.alg, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.VerifyForeign(t.Context(), token, jose.ExpectForeign{Types: []string{"JWT"}, Algorithms: jose.Algorithms(), Now: now}); (err == nil) != c.ok {
			t.Errorf("%s as %q: %v", old, c.alg, err)
		}
	}
}

// TestPEM reads keys as openssl writes them.
func TestPEM(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	must(t, err)
	for name, c := range map[string]struct {
		text      []byte
		algorithm string
	}{
		"EC":          {pkcs8(ec), jose.ES256},
		"EC, SEC 1":   {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), jose.ES256},
		"RSA":         {pkcs8(big), jose.RS256},
		"RSA, PKCS 1": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(big)}), jose.RS256},
		"Ed25519":     {pkcs8(ed), jose.EdDSA},
		"P-384":       {pkcs8(p384), ""},
		"no PEM":      {[]byte("secret"), ""},
		"another PEM": {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")}), ""},
		"damaged":     {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}), ""},
	} {
		key, err := jose.ParsePrivatePEM(c.text)
		if key.Algorithm != c.algorithm || (err == nil) != (c.algorithm != "") {
			t.Errorf("%s: %v %v", name, key, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the key: %v", name, err)
		}
	}
	public, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	must(t, err)
	set, err := jose.ReadPublicSet(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := jose.ReadPublicSet(set); err != nil || string(again) != string(set) {
		t.Errorf("a set: %s %v", again, err)
	}
	key, err := jose.ParsePrivatePEM(pkcs8(ec))
	must(t, err)
	one, err := jose.ReadPublicSet(key.Public())
	if err != nil || !strings.Contains(string(one), key.KeyID) || !strings.Contains(string(set), key.KeyID) {
		t.Errorf("one key: %s %v; as PEM %s", one, err, set)
	}
	private, err := key.MarshalPrivate()
	must(t, err)
	for name, text := range map[string][]byte{"a private key": pkcs8(ec), "a private JWK": private, "nonsense": []byte("x"), "no key": []byte("{}")} {
		if _, err := jose.ReadPublicSet(text); err == nil {
			t.Errorf("%s is taken for public", name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
