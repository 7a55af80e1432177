package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"gatehouse/internal/secret"
)

// ErrWrong means that name and password do not belong together. It is the one
// answer for an unknown name, an account without a password and a wrong
// password: which of them it was is nobody's business.
var ErrWrong = errors.New("name or password is wrong")

// ErrPasswordNeeded means that this name does not sign in without its password,
// though others do.
var ErrPasswordNeeded = errors.New("this name needs its password")

// Method is a way to sign in.
type Method string

// Methods.
const (
	Password Method = "password" // RFC 8176 amr "pwd"
	Username Method = "username" // a name without a password signs in; for demos alone (security.md 19)
)

// Authenticator signs people in.
type Authenticator struct {
	Method    Method
	Accounts  Store
	Passwords *secret.Passwords
	NewClaims map[string]string // what an account gets that Username creates
}

// SignIn returns the account that name and password prove, with the methods
// used (RFC 8176; none for Username, which proves nothing). Errors: ErrWrong,
// ErrName and ErrPasswordNeeded (Username only),
// secret.ErrBusy, and the store's.
func (a *Authenticator) SignIn(ctx context.Context, name, password string) (Account, []string, error) {
	switch a.Method {
	case Username:
		acc, err := a.byName(ctx, name)
		if err != nil || acc.PasswordHash == "" && acc.Role == NoRole {
			return acc, nil, err
		}
		if password == "" {
			return Account{}, nil, ErrPasswordNeeded
		}
		acc, err = a.byPassword(ctx, name, password)
		return acc, []string{"pwd"}, err
	case Password:
		acc, err := a.byPassword(ctx, name, password)
		return acc, []string{"pwd"}, err
	}
	return Account{}, nil, fmt.Errorf("sign in: method %q is not known", a.Method)
}

func (a *Authenticator) byName(ctx context.Context, name string) (Account, error) {
	name, err := Normalize(name)
	if err != nil {
		return Account{}, err
	}
	return a.Accounts.EnsureAccount(ctx, Account{
		ID: secret.ID(), Name: name, Claims: maps.Clone(a.NewClaims), CreatedAt: time.Now().Unix(),
	})
}

func (a *Authenticator) byPassword(ctx context.Context, name, password string) (Account, error) {
	var acc Account
	normal, err := Normalize(name)
	if err == nil {
		acc, err = a.Accounts.AccountByName(ctx, normal)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrName) {
		return Account{}, err
	}
	// The hash is computed whether or not there is an account, so that the
	// time of the answer does not tell.
	match, err := a.Passwords.Verify(ctx, acc.PasswordHash, password)
	if err != nil {
		return Account{}, err
	}
	if !match {
		return Account{}, ErrWrong
	}
	return acc, nil
}
