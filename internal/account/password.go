package account

import (
	_ "embed" // for the common passwords
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/secret"
)

// ErrPassword wraps what is refused as a password; it can be shown.
var ErrPassword = errors.New("not a password that can be used")

// MinPassword is NIST SP 800-63B's lower bound for a password, in characters.
const MinPassword = 8

//go:embed common.txt
var commonPasswords string

// CheckPassword refuses passwords as NIST SP 800-63B §3.1.1.2 has it: too short
// ones, those that everybody tries first, and the name itself. It asks for no
// mixture of characters.
func CheckPassword(name, password string) error {
	lower := strings.ToLower(password)
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("%w: it has fewer than %d characters; choose a longer one", ErrPassword, MinPassword)
	case len(password) > secret.MaxPassword:
		return fmt.Errorf("%w: it has more than %d bytes; choose a shorter one", ErrPassword, secret.MaxPassword)
	case strings.Trim(lower, "0123456789") == name || lower == name+name || lower == name:
		return fmt.Errorf("%w: it is the name; choose another one", ErrPassword)
	}
	for common := range strings.Lines(commonPasswords) {
		if strings.TrimSpace(common) == lower {
			return fmt.Errorf("%w: it is one of those that are tried first; choose another one", ErrPassword)
		}
	}
	return nil
}
