package account_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/account"
)

// NIST SP 800-63B §3.1.1.2: length counts, what everybody tries first does not
// pass, and no mixture of characters is asked for.
func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"short":                     "fewer than 8 characters",
		"ünïcödé":                   "fewer than 8 characters",
		"ünïcödés":                  "",
		"aaaaaaab":                  "",
		"only lower letters here":   "",
		"Password1":                 "tried first",
		"QWERTYUIOP":                "tried first",
		"margarete":                 "the name",
		"MARGARETE":                 "the name",
		"margarete2024":             "the name",
		"margaretemargarete":        "the name",
		"margarete likes mountains": "",
		strings.Repeat("x", 1024):   "",
		strings.Repeat("x", 1025):   "more than 1024 bytes",
	} {
		err := account.CheckPassword("margarete", password)
		if (want == "") != (err == nil) || err != nil && (!errors.Is(err, account.ErrPassword) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: %v; want %q", password, err, want)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the error tells the password %q", password)
		}
	}
}

// Attributes say something of the person: not of the token, and not of the agent.
func TestCheckClaims(t *testing.T) {
	for name, ok := range map[string]bool{
		"region": true, "https://example.com/team": true, "a_b.c-d:e": true,
		"": false, "two words": false, "9lives": false, "naïve": false, strings.Repeat("a", 65): false,
		"sub": false, "iss": false, "aud": false, "exp": false, "scope": false, "act": false, "client_id": false,
		"client_type": false, "client_assurance_level": false,
	} {
		if err := account.CheckClaims(map[string]string{name: "v"}); (err == nil) != ok || err != nil && !errors.Is(err, account.ErrClaims) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for value, ok := range map[string]bool{"USA": true, "Zürich, Süd": true, "": false, "  ": false, "two\nlines": false, strings.Repeat("v", 257): false} {
		if err := account.CheckClaims(map[string]string{"region": value}); (err == nil) != ok {
			t.Errorf("value %.20q: %v", value, err)
		}
	}
}
