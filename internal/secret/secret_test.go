package secret_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/secret"
)

func TestNew(t *testing.T) {
	a, b := secret.New("gha_"), secret.New("gha_")
	if a == b || !strings.HasPrefix(a, "gha_") || len(a) != len("gha_")+43 {
		t.Errorf("got %q and %q", a, b)
	}
	if secret.Sum(a) == secret.Sum(b) || secret.Sum("") != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" || strings.Contains(string(secret.Sum(a)), a) {
		t.Error("hashes do not tell the values apart")
	}
	if !secret.Equal("x", "x") || secret.Equal("x", "y") || secret.Equal("x", "xx") {
		t.Error("Equal is wrong")
	}
}

func TestPasswords(t *testing.T) {
	var p secret.Passwords
	ctx := t.Context()
	encoded, err := p.Hash(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("got %q, %v", encoded, err)
	}
	again, err := p.Hash(ctx, "correct horse")
	if err != nil || again == encoded {
		t.Error("two hashes of one password share a salt")
	}
	for _, tt := range []struct {
		encoded, password string
		want              bool
	}{
		{encoded, "correct horse", true},
		{encoded, "correct horsE", false},
		{encoded, "", false},
		{"", "correct horse", false},
		{"", "", false},
		{"$argon2id$v=19$m=4294967295,t=2,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "x", false}, // would take 4 TiB
		{"$2b$10$abcdefghijklmnopqrstuv", "x", false},
		{encoded, strings.Repeat("a", 5000), false},
	} {
		got, err := p.Verify(ctx, tt.encoded, tt.password)
		if err != nil || got != tt.want {
			t.Errorf("Verify(%.30q, %.20q) = %v, %v; want %v", tt.encoded, tt.password, got, err, tt.want)
		}
	}
}

// The pool is bounded: what does not fit is told to come back, and memory does
// not grow with the number of callers.
func TestPasswordsAreBounded(t *testing.T) {
	p := secret.Passwords{Workers: 1, Queue: 1}
	var busy, served int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := p.Verify(context.Background(), "", "x")
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, secret.ErrBusy) {
				busy++
			} else if err == nil {
				served++
			}
		})
	}
	wg.Wait()
	if busy+served != 20 || served == 0 || busy == 0 {
		t.Errorf("%d served, %d refused as busy", served, busy)
	}
}

func TestSeal(t *testing.T) {
	value := secret.New("ghr_")
	sealed, err := secret.Seal(value, "answer", []byte("text"))
	if err != nil || strings.Contains(sealed, "text") {
		t.Fatalf("%q, %v", sealed, err)
	}
	if text, err := secret.Open(value, "answer", sealed); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another value":   func() ([]byte, error) { return secret.Open(secret.New("ghr_"), "answer", sealed) },
		"another purpose": func() ([]byte, error) { return secret.Open(value, "other", sealed) },
		"a changed text":  func() ([]byte, error) { return secret.Open(value, "answer", "A"+sealed[1:]+"A") },
		"nothing":         func() ([]byte, error) { return secret.Open(value, "answer", "") },
	} {
		if text, err := open(); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
