package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/jose"
)

// platform KEYS TOKEN NAMESPACE ACCOUNT [LIFETIME] signs a service account token
// as a cluster does, with the key beside KEYS, which is made when it is not there;
// LIFETIME is in seconds, negative for one that has expired.
func platform(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || len(args) > 5 {
		ts.Fatalf("usage: platform KEYS TOKEN NAMESPACE ACCOUNT [LIFETIME]")
	}
	set, private := ts.MkAbs(args[0]), ts.MkAbs(args[0])+".private"
	text, err := os.ReadFile(private)
	if os.IsNotExist(err) {
		fresh, err := jose.Generate(jose.RS256)
		ts.Check(err)
		text, err = fresh.MarshalPrivate()
		ts.Check(err)
		ts.Check(os.WriteFile(private, text, 0o600))
	}
	key, err := jose.ParsePrivate(text)
	ts.Check(err)
	ts.Check(os.WriteFile(set, jose.PublicSet(key), 0o600))
	signer, err := jose.NewSigner(key)
	ts.Check(err)
	lifetime := int64(600)
	if len(args) == 5 {
		lifetime, err = strconv.ParseInt(args[4], 10, 64)
		ts.Check(err)
	}
	now := time.Now().Unix()
	token, err := signer.Sign("JWT", map[string]any{
		"iss": "https://kubernetes.example.com", "sub": "system:serviceaccount:" + args[2] + ":" + args[3], "aud": "https://login.example.com",
		"iat": min(now, now+lifetime-1), "exp": now + lifetime,
		"kubernetes.io": map[string]any{"namespace": args[2], "serviceaccount": map[string]any{"name": args[3], "uid": "7"}},
	})
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[1])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(token+"\n"), 0o600))
}

// member KEY VALUE checks that standard output is a JSON object with that text.
func member(ts *testscript.TestScript, neg bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, _ := object[args[0]].(string)
	if strings.Contains(value, args[1]) == neg {
		ts.Fatalf("%s is %q", args[0], value)
	}
}
