package account_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/account"
)

// security.md 19: names are normalised (RFC 8265) and mixed scripts refused.
func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"alice":                   "alice",
		" Alice ":                 "alice",
		"ＡＬＩＣＥ":                   "alice", // full width
		"e\u0301mile":             "émile", // composed
		"josé.maria-2":            "josé.maria-2",
		"محمد":                    "محمد",
		"李小龍":                     "李小龍",
		"さくら":                     "さくら",
		"аlice":                   "", // Cyrillic а
		"alice bob":               "",
		"ali\u200bce":             "",
		"alice\u202e":             "",
		"<script>":                "<script>",
		"":                        "",
		"   ":                     "",
		strings.Repeat("a", 65):   "",
		"alice\x00":               "",
		"pаypal":                  "",
		"👤":                       "",
		"o'brien":                 "o'brien",
		"user@example.com":        "user@example.com",
		strings.Repeat("é", 1000): "",
	} {
		got, err := account.Normalize(in)
		if got != want || (want == "") != errors.Is(err, account.ErrName) {
			t.Errorf("Normalize(%.20q) = %q, %v; want %q", in, got, err, want)
		}
	}
}
