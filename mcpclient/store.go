package mcpclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store keeps registrations and tokens in a folder, one file for each
// authorization server: what one issued is never shown to another (R-CL-5,
// R-CL-6). Several processes may use a folder at once; a token is refreshed by
// one of them, and the others take what it got. The zero value keeps all in
// memory. It is safe for concurrent use.
//
// Files are readable by their owner only, and refused if others can read them
// (R-CL-21).
type Store struct {
	// Folder is made when it is needed. Empty: nothing is written.
	Folder string
	// Elsewhere keeps the state in place of files. It must not change once the
	// Store is used, which no other Store of the same state may be meanwhile.
	Elsewhere Keeper

	mu     sync.Mutex
	loaded bool
	memory map[string]issuerState
}

// Keeper is where a program keeps the state of a Store if not in files. The
// text holds tokens; what it says is this package's business.
type Keeper interface {
	Load() ([]byte, error) // what Save was given last; nil if nothing was
	Save(text []byte) error
}

// load fills memory from elsewhere, once; the caller holds mu.
func (s *Store) load() error {
	if s.memory == nil {
		s.memory = map[string]issuerState{}
	}
	if s.Elsewhere == nil || s.loaded {
		return nil
	}
	text, err := s.Elsewhere.Load()
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &s.memory)
	}
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	s.loaded = true
	return nil
}

// save is the other way round.
func (s *Store) save() error {
	if s.Elsewhere == nil {
		return nil
	}
	text, err := json.Marshal(s.memory)
	if err == nil {
		err = s.Elsewhere.Save(text)
	}
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	return nil
}

// DefaultFolder is where a person's programs keep them by convention: below the
// user's configuration directory.
func DefaultFolder() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for tokens: %w", err)
	}
	return filepath.Join(base, "gatehouse", "client"), nil
}

// issuerState is what is known with one authorization server.
type issuerState struct {
	Issuer        string         `json:"issuer"`
	Registrations []registration `json:"registrations,omitempty"`
	Tokens        []token        `json:"tokens,omitempty"`
	Clients       []string       `json:"clients,omitempty"` // Client.ClientID that it knows
}

// registration is a client that was registered dynamically (RFC 7591 §3.2.1).
type registration struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	AuthMethod   string `json:"token_endpoint_auth_method"`
	RedirectURI  string `json:"redirect_uri"`
	Name         string `json:"client_name"`
	ExpiresAt    int64  `json:"client_secret_expires_at,omitempty"` // Unix seconds; 0 never
}

// token is what a person allowed at one MCP server.
type token struct {
	Server       string   `json:"server"` // as the user named it
	Account      string   `json:"account,omitempty"`
	Issuer       string   `json:"issuer"`
	Resource     string   `json:"resource"`
	ClientID     string   `json:"client_id"`
	AccessToken  string   `json:"access_token"`
	RefreshToken string   `json:"refresh_token,omitempty"`
	ExpiresAt    int64    `json:"expires_at,omitempty"` // Unix seconds; 0 unknown
	Scope        []string `json:"scope,omitempty"`
}

func (t token) endsWithin(d time.Duration) bool {
	return t.AccessToken != "" && t.ExpiresAt != 0 && time.Now().Add(d).Unix() >= t.ExpiresAt
}

// keep puts a token in the place of the one for the same server and account.
func (s *issuerState) keep(t token) {
	s.drop(t)
	s.Tokens = append(s.Tokens, t)
}

func (s *issuerState) drop(t token) {
	s.Tokens = slices.DeleteFunc(s.Tokens, func(o token) bool { return o.Server == t.Server && o.Account == t.Account })
}

// find returns the token for a server and account.
func (s *issuerState) find(server, account string) (token, bool) {
	for _, t := range s.Tokens {
		if t.Server == server && t.Account == account {
			return t, true
		}
	}
	return token{}, false
}

// tokenFor returns the newest token that was got for a server, of one issuer if
// that is named.
func (s *Store) tokenFor(server, account, issuer string) (token, error) {
	states, err := s.all()
	var newest token
	for _, state := range states {
		t, ok := state.find(server, account)
		if ok && (issuer == "" || t.Issuer == issuer) && (newest.AccessToken == "" || t.ExpiresAt > newest.ExpiresAt) {
			newest = t
		}
	}
	return newest, err
}

// all returns what is known with every authorization server.
func (s *Store) all() ([]issuerState, error) {
	if s.Folder == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.load(); err != nil {
			return nil, err
		}
		var all []issuerState
		for _, state := range s.memory {
			all = append(all, state)
		}
		return all, nil
	}
	files, err := filepath.Glob(filepath.Join(s.Folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []issuerState
	for _, file := range files {
		state, failed := read(file)
		if failed == nil {
			all = append(all, state)
		}
		err = errors.Join(err, failed)
	}
	return all, err
}

// update changes what is known with an issuer, with no other process in
// between, however long change takes. What it did is kept even if it returns an
// error.
func (s *Store) update(ctx context.Context, issuer string, change func(*issuerState) error) error {
	if s.Folder == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.load(); err != nil {
			return err
		}
		state := s.memory[issuer]
		state.Issuer = issuer
		before, _ := json.Marshal(state) // it came from JSON, or is empty
		err := change(&state)
		s.memory[issuer] = state
		if after, _ := json.Marshal(state); string(after) == string(before) {
			return err
		}
		return errors.Join(err, s.save())
	}
	if err := os.MkdirAll(s.Folder, 0o700); err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	file := filepath.Join(s.Folder, fileName(issuer))
	unlock, err := lock(ctx, strings.TrimSuffix(file, ".json")+".lock")
	if err != nil {
		return fmt.Errorf("wait for other processes that use %s: %w", s.Folder, err)
	}
	defer unlock()
	state, err := read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	state.Issuer = issuer
	before, _ := json.Marshal(state) // it came from JSON, or is empty
	err = change(&state)
	if after, _ := json.Marshal(state); string(after) == string(before) {
		return err
	}
	return errors.Join(err, write(file, state))
}

// fileName begins with the host, for people who look, and ends with a hash, for
// issuers on one host.
func fileName(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	_, host, _ := strings.Cut(issuer, "://")
	host, _, _ = strings.Cut(host, "/")
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(host))
	return name[:min(len(name), 80)] + "-" + hex.EncodeToString(sum[:6]) + ".json"
}

func read(file string) (issuerState, error) {
	var state issuerState
	f, err := os.Open(file)
	if err != nil {
		return state, fmt.Errorf("read tokens: %w", err)
	}
	defer f.Close()
	if err := private(f); err != nil {
		return state, fmt.Errorf("read tokens: %w", err)
	}
	if err := json.NewDecoder(f).Decode(&state); err != nil {
		return state, fmt.Errorf("read tokens: %s: %w; remove the file to begin anew", file, err)
	}
	return state, nil
}

// write replaces a file whole: a process that is killed leaves the old or the
// new one.
func write(file string, state issuerState) (err error) {
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to tell
		return fmt.Errorf("keep tokens: %w", err)
	}
	return nil
}
