package admin

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/secret"
)

// People is what looking after people needs from a database, besides
// account.Store.
type People interface {
	// ListPeople returns at most limit accounts by name.
	ListPeople(ctx context.Context, f account.Filter, limit int, now time.Time) ([]account.Listed, error)
	// Person returns one of them, else account.ErrNotFound.
	Person(ctx context.Context, id string, now time.Time) (account.Listed, error)
	// SessionsOf, GrantsOf and EntriesOf return what there is of an account,
	// newest first, at most limit.
	SessionsOf(ctx context.Context, accountID string, limit int, now time.Time) ([]account.Session, error)
	GrantsOf(ctx context.Context, accountID string, limit int, now time.Time) ([]grant.Listed, error)
	EntriesOf(ctx context.Context, accountID string, limit int) ([]audit.Entry, error)
	// ChangeRole gives an account another role; account.ErrLastAdministrator if
	// no administrator were left who can sign in, account.ErrChanged if the role is
	// not was any more.
	ChangeRole(ctx context.Context, id string, was, r account.Role, now time.Time) error
	// Invite stores an invitation in place of any other of its account, and the
	// account with it if fresh: account.ErrExists if its name is taken. The
	// password of an account that exists is none any more, and its sessions end.
	Invite(ctx context.Context, a account.Account, fresh bool, i account.Invitation) error
	// ResetPassword sets a password, ends sessions and takes back invitations.
	ResetPassword(ctx context.Context, id, hash string) error
}

// Newcomer is somebody who shall be able to sign in.
type Newcomer struct {
	Name   string
	Role   account.Role
	Claims map[string]string // attributes that APIs may be told
}

// Invited is an account with the link by which its person chooses a password.
// The link is a secret, and nowhere else.
type Invited struct {
	ID, Name string
	Link     string
	Until    time.Time
	Entry    string // in the audit
}

// LogValue keeps the link out of logs.
func (Invited) LogValue() slog.Value { return slog.StringValue("redacted") }

// normal checks a newcomer and returns the account.
func (n Newcomer) normal() (account.Account, error) {
	name, err := account.Normalize(n.Name)
	if err != nil {
		return account.Account{}, refuse("%.100q is %v", n.Name, err)
	}
	if err := checkRole(n.Role); err != nil {
		return account.Account{}, err
	}
	if err := account.CheckClaims(n.Claims); err != nil {
		return account.Account{}, refuse("these are %v", err)
	}
	return account.Account{ID: secret.ID(), Name: name, Role: n.Role, Claims: n.Claims, CreatedAt: time.Now().Unix()}, nil
}

func checkRole(r account.Role) error {
	if r != account.NoRole && r != account.Administrator && r != account.Auditor {
		return refuse("%.50q is no role; choose admin, auditor or none", r)
	}
	return nil
}

// entry names an account in the audit. Values of attributes are personal, and
// not in it.
func entryOf(a account.Account) audit.Entry {
	e := audit.Entry{AccountID: a.ID, Detail: map[string]string{"name": a.Name}}
	if a.Role != account.NoRole {
		e.Detail["role"] = string(a.Role)
	}
	if len(a.Claims) > 0 {
		e.Detail["attributes"] = strings.Join(slices.Sorted(maps.Keys(a.Claims)), " ")
	}
	return e
}

// AddPerson makes an account with a password and returns its ID.
func (a *Acts) AddPerson(ctx context.Context, by Actor, n Newcomer, password string) (id string, err error) {
	acc, err := n.normal()
	if err != nil {
		return "", err
	}
	if acc.PasswordHash, err = a.hash(ctx, acc.Name, password); err != nil {
		return "", err
	}
	_, err = a.record(ctx, by, "person added", "", entryOf(acc), func() error { return peopleRefusal(a.Accounts.AddAccount(ctx, acc)) })
	return acc.ID, err
}

// Invite makes an account whose person chooses a password by the link.
func (a *Acts) Invite(ctx context.Context, by Actor, n Newcomer) (Invited, error) {
	acc, err := n.normal()
	if err != nil {
		return Invited{}, err
	}
	return a.invite(ctx, by, "person invited", "", acc, true)
}

// InviteAnew makes a link by which somebody chooses another password. The one
// of now is none at once, and every session ends.
func (a *Acts) InviteAnew(ctx context.Context, by Actor, id, reason string) (Invited, error) {
	acc, err := a.person(ctx, id, reason)
	if err != nil {
		return Invited{}, err
	}
	acc.Claims, acc.Role = nil, account.NoRole // they stay as they are
	return a.invite(ctx, by, "password reset", reason, acc, false)
}

func (a *Acts) invite(ctx context.Context, by Actor, what, reason string, acc account.Account, fresh bool) (Invited, error) {
	token, until := secret.New(""), time.Now().Add(account.InvitationLifetime)
	i := account.Invitation{Hash: secret.Sum(token), AccountID: acc.ID, ExpiresAt: until.Unix()}
	entry, err := a.record(ctx, by, what, reason, entryOf(acc), func() error {
		return peopleRefusal(a.People.Invite(ctx, acc, fresh, i))
	})
	link := a.Issuer + "/invitation?" + url.Values{"token": {token}}.Encode()
	return Invited{ID: acc.ID, Name: acc.Name, Link: link, Until: until, Entry: entry}, err
}

// SetPassword gives somebody a password, and ends their sessions.
func (a *Acts) SetPassword(ctx context.Context, by Actor, id, password string) (entry string, err error) {
	acc, err := a.Accounts.Account(ctx, id)
	if err != nil {
		return "", peopleRefusal(err)
	}
	hash, err := a.hash(ctx, acc.Name, password)
	if err != nil {
		return "", err
	}
	return a.record(ctx, by, "password set", "", audit.Entry{AccountID: id}, func() error {
		return peopleRefusal(a.People.ResetPassword(ctx, id, hash))
	})
}

// SetRole changes what somebody may do in the administration, which is was; else
// account.ErrChanged.
func (a *Acts) SetRole(ctx context.Context, by Actor, id string, was, r account.Role, reason string) (entry string, err error) {
	acc, err := a.person(ctx, id, reason)
	if err != nil {
		return "", err
	}
	if err := checkRole(r); err != nil {
		return "", err
	}
	if acc.Role != was {
		return "", account.ErrChanged
	}
	if r == was {
		return "", refuse("the role of %s is %s already", acc.Name, roleName(r))
	}
	detail := map[string]string{"before": roleName(acc.Role), "after": roleName(r)}
	return a.record(ctx, by, "role changed", reason, audit.Entry{AccountID: id, Detail: detail}, func() error {
		return peopleRefusal(a.People.ChangeRole(ctx, id, was, r, time.Now()))
	})
}

func roleName(r account.Role) string {
	if r == account.NoRole {
		return "none"
	}
	return string(r)
}

// SetClaims replaces the attributes that APIs may be told of somebody, which are
// was; else account.ErrChanged.
func (a *Acts) SetClaims(ctx context.Context, by Actor, id string, was, claims map[string]string, reason string) (entry string, err error) {
	if _, err := a.person(ctx, id, reason); err != nil {
		return "", err
	}
	if err := account.CheckClaims(claims); err != nil {
		return "", refuse("these are %v", err)
	}
	changed := changes(was, claims)
	if len(changed) == 0 {
		return "", refuse("these are the attributes of now; nothing was changed")
	}
	var names []string
	for _, c := range changed {
		names = append(names, c.Name)
	}
	e := audit.Entry{AccountID: id, Detail: map[string]string{"attributes": strings.Join(names, " ")}}
	return a.record(ctx, by, "attributes changed", reason, e, func() error {
		return peopleRefusal(a.Accounts.SetClaims(ctx, id, was, claims, time.Now()))
	})
}

// EndSessions signs somebody out: of one session, or of all with an empty ref.
func (a *Acts) EndSessions(ctx context.Context, by Actor, id, ref, reason string) (entry string, err error) {
	if _, err := a.person(ctx, id, reason); err != nil {
		return "", err
	}
	if ref == "" {
		return a.record(ctx, by, "person signed out everywhere", reason, audit.Entry{AccountID: id}, func() error { return a.Accounts.EndSessions(ctx, id) })
	}
	list, err := a.People.SessionsOf(ctx, id, maxShown, time.Now())
	if err != nil {
		return "", err
	}
	for _, s := range list {
		if sessionRef(s) == ref {
			return a.record(ctx, by, "person signed out of a session", reason, audit.Entry{AccountID: id}, func() error { return a.Accounts.EndSession(ctx, s.Hash) })
		}
	}
	return "", refuse("this session has ended already")
}

// sessionRef names a session on pages: what is stored of its cookie stays in
// the store.
func sessionRef(s account.Session) string { return string(secret.Sum("session " + string(s.Hash))) }

// person returns whom an act that takes a reason is about.
func (a *Acts) person(ctx context.Context, id, reason string) (account.Account, error) {
	if strings.TrimSpace(reason) == "" {
		return account.Account{}, refuse("a reason is missing; say in a few words why")
	}
	acc, err := a.Accounts.Account(ctx, id)
	return acc, peopleRefusal(err)
}

// hash checks a password and hashes it.
func (a *Acts) hash(ctx context.Context, name, password string) (string, error) {
	if err := account.CheckPassword(name, password); err != nil {
		return "", refuse("this is %v", err)
	}
	return a.Passwords.Hash(ctx, password)
}

// peopleRefusal puts what the store refuses into words.
func peopleRefusal(err error) error {
	switch {
	case errors.Is(err, account.ErrExists):
		return refuse("%v", account.ErrExists)
	case errors.Is(err, account.ErrLastAdministrator):
		return refuse("%v; make somebody else one first", account.ErrLastAdministrator)
	case errors.Is(err, account.ErrNotFound):
		return refuse("there is no such account any more")
	}
	return err
}

// change is an attribute before and after; empty: there is none.
type change struct{ Name, Before, After string }

// changes lists what differs, by name.
func changes(before, after map[string]string) []change {
	var list []change
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before[name] != after[name] {
			list = append(list, change{name, before[name], after[name]})
		}
	}
	return list
}
