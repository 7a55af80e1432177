package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/inspect"
	"gatehouse/internal/secret"
)

// Actor is who acts, for the audit.
type Actor struct {
	AccountID string // empty for the terminal, where whoever may read the configuration acts
	From      string // "the console", "the terminal", "the API"
	ClientID  string // the client that acts for the person; empty where it is the console itself
	RequestID string // of the request event
}

// Acts are what an administrator does to an installation. Each is checked, then
// recorded, then done, and its end recorded: what cannot be recorded does not
// happen. They are the same from a page and from a terminal, and do not ask
// whether the actor may: that is decided before.
type Acts struct {
	APIs        []*catalog.API
	Clients     client.Store
	Accounts    account.Store
	People      People
	Passwords   *secret.Passwords
	Keys        Keys
	Rotation    Rotation
	Stops       Stops
	Documents   Documents
	Messages    inspect.Store
	Issuer      string   // where people sign in, and invitations lead
	PlainHTTP   []string // hosts where plain http is tolerated (security.md 17)
	NoDocuments bool     // nothing that agents publish is fetched
	MutualTLS   bool     // agents may show certificates
	Audit       audit.Store
}

// MaxReason bounds what an administrator writes as a reason, in bytes.
const MaxReason = 500

// ErrRefused wraps what an administrator asked for and cannot have; its text is
// a sentence for a person.
var ErrRefused = errors.New("refused")

// refuse makes an ErrRefused of a sentence.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Refusal returns the sentence of an ErrRefused; empty for other errors.
func Refusal(err error) string {
	if !errors.Is(err, ErrRefused) {
		return ""
	}
	_, sentence, _ := strings.Cut(err.Error(), ErrRefused.Error()+": ")
	return sentence
}

// record does an act between its two audit entries and returns the entry's ID.
// What names what was done, such as "client ended"; entry has the parties.
func (a *Acts) record(ctx context.Context, by Actor, what, reason string, entry audit.Entry, act func() error) (id string, err error) {
	if reason = strings.TrimSpace(reason); len(reason) > MaxReason {
		return "", refuse("the reason has more than %d bytes; write a shorter one", MaxReason)
	}
	if entry.Detail == nil {
		entry.Detail = map[string]string{}
	}
	if by.AccountID != "" {
		entry.Detail["by"] = by.AccountID
	}
	if by.ClientID != "" {
		entry.Detail["by_client"] = by.ClientID
	}
	now := time.Now()
	entry.ID, entry.Time, entry.Kind, entry.Outcome = audit.NewID(now), now.UnixMilli(), audit.Admin, audit.Started
	entry.RequestID = by.RequestID
	entry.Reason = what + " from " + by.From
	if reason != "" {
		entry.Reason += ": " + reason
	}
	if err := a.Audit.Append(ctx, entry); err != nil {
		return "", err
	}
	err = act()
	outcome, told := audit.Done, entry.Reason
	if err != nil {
		outcome, told = audit.Failed, entry.Reason+": "+err.Error()
	}
	// The entry ends also when whoever asked is gone.
	return entry.ID, errors.Join(err, a.Audit.Finish(context.WithoutCancel(ctx), entry.ID, outcome, told, nil))
}
