package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
	"gatehouse/internal/trust"
)

// maxAssertion bounds a file with an assertion, in bytes.
const maxAssertion = 64 << 10

// ExplainToken says what somebody's assertion is, whether it is genuine, what
// it would get, and which rule would be for it. Keys of an issuer that is not
// configured are read from where it publishes them, at public addresses only.
func ExplainToken(ctx context.Context, c *Config, token string) (trust.Explanation, error) {
	trusted, err := c.Trusted()
	if err != nil {
		return trust.Explanation{}, err
	}
	find, err := c.finder()
	if err != nil {
		return trust.Explanation{}, err
	}
	e, err := trusted.Explain(ctx, token, time.Now(), find)
	if err != nil {
		return e, fmt.Errorf("read the token: %w; a workload's token is a JWT, three parts with dots between", err)
	}
	return e, nil
}

// finder reads the keys that an issuer publishes at a public address.
func (c *Config) finder() (trust.Finder, error) {
	guard, err := Documents{}.guard(c, "trust")
	if err != nil {
		return nil, err
	}
	fetcher := &http.Client{Transport: guard.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(_ context.Context, issuer string) (trust.Keys, error) {
		return (&resource.Discovery{Issuer: issuer, Client: fetcher}).Keys(), nil
	}, nil
}

// TrustLine is an entry of the trust configuration, for people.
type TrustLine struct {
	Name      string      `json:"name"`
	Kind      string      `json:"kind"`
	Issuer    string      `json:"issuer"`
	SingleUse bool        `json:"single_use"`
	Rules     []TrustRule `json:"rules"`
}

// TrustRule is what lets assertions act as a client.
type TrustRule struct {
	Client string `json:"client"`
	When   string `json:"when"`
}

// TrustLines lists whom a configuration trusts.
func TrustLines(c *Config) ([]TrustLine, error) {
	lines := []TrustLine{}
	for _, t := range c.Trust {
		i, err := t.issuer(c)
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Name, err)
		}
		line := TrustLine{Name: i.Name, Kind: string(i.Kind), Issuer: i.Issuer, SingleUse: i.SingleUse, Rules: []TrustRule{}}
		for _, w := range i.Workloads {
			var when []string
			for _, condition := range w.When {
				when = append(when, condition.Claim+" = "+condition.Pattern.String())
			}
			line.Rules = append(line.Rules, TrustRule{w.Client, strings.Join(when, ", ")})
		}
		if i.Kind.ForPeople() {
			when := "people by " + i.People.Claim
			if i.People.Domain != "" {
				when += " of " + i.People.Domain
			}
			for _, p := range i.People.Clients {
				line.Rules = append(line.Rules, TrustRule{p.String(), when})
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// TokenVerdict is what the rules say of a token in a file.
type TokenVerdict struct {
	File    string `json:"file"`
	Client  string `json:"client,omitempty"`  // that it speaks for
	Refused string `json:"refused,omitempty"` // why it speaks for none
	Want    string `json:"want,omitempty"`    // the client that its folder names, or refused; empty: no matter
	Wrong   bool   `json:"wrong"`             // it is not what is wanted
}

// refusedFolder holds tokens that no rule may accept.
const refusedFolder = "refused"

// TryTokens runs every file below a folder through the rules, each at a time when
// it was good: what is tried is the rules. A subfolder's name is the client that
// its tokens must speak for, or refused.
func TryTokens(ctx context.Context, c *Config, folder string) ([]TokenVerdict, error) {
	trusted, err := c.Trusted()
	if err != nil {
		return nil, err
	}
	var all []TokenVerdict
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		text, err := readToken(path)
		if err != nil {
			return err
		}
		v := TokenVerdict{File: name}
		v.Want, _, _ = strings.Cut(filepath.ToSlash(name), "/")
		if !strings.Contains(filepath.ToSlash(name), "/") {
			v.Want = ""
		}
		m, err := trusted.Workload(ctx, text, goodAt(text))
		if errors.Is(err, trust.ErrUnavailable) {
			return fmt.Errorf("%s: %w", name, err) // nothing is known, so nothing may pass
		}
		if v.Client = m.Client; err != nil {
			v.Client, v.Refused = "", err.Error()
		}
		v.Wrong = v.Want == refusedFolder && v.Client != "" || v.Want != "" && v.Want != refusedFolder && v.Client != v.Want
		all = append(all, v)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s holds no file; put a token into each, in a folder named as the client that it is for, or refused", folder)
	}
	slices.SortFunc(all, func(a, b TokenVerdict) int { return strings.Compare(a.File, b.File) })
	return all, err
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAssertion))
	return strings.TrimSpace(string(text)), err
}

// goodAt is a time when a token is good, if there is one: now, or just before it
// expired.
func goodAt(token string) time.Time {
	now := time.Now()
	f, err := jose.ReadForeign(token)
	if err == nil && !f.Expires.IsZero() && !now.Before(f.Expires) {
		return f.Expires.Add(-time.Second)
	}
	return now
}
