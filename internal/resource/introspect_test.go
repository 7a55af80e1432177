package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/resource"
)

const (
	issuer   = "https://login.example.com"
	endpoint = issuer + "/introspect"
	users    = "https://mcp.example.com/users"
)

// transport answers requests with a handler, without a network, so that the
// tests can run in a synctest bubble.
type transport struct{ http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func newSigner(t *testing.T) (*jose.Signer, jose.Key) {
	t.Helper()
	k, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func newIntrospector(t *testing.T, h http.HandlerFunc) *resource.Introspector {
	t.Helper()
	s, _ := newSigner(t)
	return &resource.Introspector{
		Endpoint: endpoint,
		Server:   &resource.AuthorizationServer{Issuer: issuer, ClientID: "gateway", Signer: s, Client: &http.Client{Transport: transport{h}}},
	}
}

// fakeAS knows one live token, "good", and counts questions.
type fakeAS struct {
	asked   atomic.Int64
	revoked atomic.Bool
	delay   func(n int64) time.Duration // of the answer to the n-th question
}

func (f *fakeAS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := f.asked.Add(1)
	active := strings.HasPrefix(r.FormValue("token"), "good") && !f.revoked.Load()
	if f.delay != nil {
		time.Sleep(f.delay(n))
	}
	answer(w, map[string]any{"active": active, "aud": users, "sub": "alice", "client_id": "c", "scope": "users:read", "exp": time.Now().Add(time.Hour).Unix()})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// R-RS-6; security.md 10: what was revoked is refused to a request that comes
// a second later, and until then a token costs one question a second.
func TestIntrospectionIsAtMostASecondOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{}
		i := newIntrospector(t, as.ServeHTTP)
		for range 100 {
			got, err := i.Introspect(t.Context(), "good", users)
			if err != nil || got.Sub != "alice" || got.Scope != "users:read" {
				t.Fatalf("Introspect = %+v, %v", got, err)
			}
		}
		if n := as.asked.Load(); n != 1 {
			t.Errorf("%d questions for 100 requests at once; want 1", n)
		}
		as.revoked.Store(true)
		time.Sleep(resource.Freshness - time.Millisecond)
		if _, err := i.Introspect(t.Context(), "good", users); err != nil {
			t.Errorf("within the second: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrInvalid) {
			t.Errorf("after the second: %v; want ErrInvalid", err)
		}
	})
}

// Staleness counts from the question, not from a slow answer.
func TestSlowAnswerIsNotFreshWhenItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{delay: func(int64) time.Duration { return 900 * time.Millisecond }}
		i := newIntrospector(t, as.ServeHTTP)
		for n := range 2 {
			if _, err := i.Introspect(t.Context(), "good", users); err != nil {
				t.Fatal(err)
			}
			if got := as.asked.Load(); got != int64(n+1) {
				t.Errorf("%d questions; want %d", got, n+1)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// Concurrent requests share a question that is younger than a second.
func TestIntrospectionIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{delay: func(int64) time.Duration { return 500 * time.Millisecond }}
		i := newIntrospector(t, as.ServeHTTP)
		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				if _, err := i.Introspect(t.Context(), "good", users); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := as.asked.Load(); n != 1 {
			t.Errorf("%d questions; want 1", n)
		}
	})
}

// security.md 10: no request joins a flight that began too long before it.
func TestNoRequestJoinsAnOldFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{delay: func(n int64) time.Duration { return time.Duration(4-2*n) * time.Second }} // 2 s, then 0
		i := newIntrospector(t, as.ServeHTTP)
		first := make(chan error)
		go func() {
			_, err := i.Introspect(t.Context(), "good", users) // read before the revocation, answered after
			first <- err
		}()
		time.Sleep(100 * time.Millisecond)
		as.revoked.Store(true)
		time.Sleep(resource.Freshness)
		if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrInvalid) {
			t.Errorf("a second after the revocation: %v; want ErrInvalid", err)
		}
		if err := <-first; err != nil {
			t.Errorf("the request from before it: %v", err)
		}
		// The overtaken answer must not come back from the cache.
		if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrInvalid) {
			t.Errorf("after the old answer came: %v; want ErrInvalid", err)
		}
	})
}

// A client that leaves takes nobody with it.
func TestLeaderThatLeavesEndsNoQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{delay: func(int64) time.Duration { return 500 * time.Millisecond }}
		i := newIntrospector(t, as.ServeHTTP)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = i.Introspect(ctx, "good", users) }()
		synctest.Wait()
		second := make(chan error)
		go func() {
			_, err := i.Introspect(t.Context(), "good", users)
			second <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-second; err != nil {
			t.Errorf("the one who stayed: %v", err)
		}
		if n := as.asked.Load(); n != 1 {
			t.Errorf("%d questions; want 1", n)
		}
	})
}

// A flood of invented tokens is bounded and pushes no good token out.
func TestGarbageEvictsNothingGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{}
		i := newIntrospector(t, as.ServeHTTP)
		if _, err := i.Introspect(t.Context(), "good", users); err != nil {
			t.Fatal(err)
		}
		const flood = 4_100 // more than two generations of the cache
		for n := range flood {
			if _, err := i.Introspect(t.Context(), fmt.Sprintf("garbage%d", n), users); !errors.Is(err, resource.ErrInvalid) {
				t.Fatal(err)
			}
		}
		if _, err := i.Introspect(t.Context(), "good", users); err != nil {
			t.Fatal(err)
		}
		if n := as.asked.Load(); n != flood+1 {
			t.Errorf("%d questions; want %d: the good token was asked about again", n, flood+1)
		}
		// The same garbage again costs no second question.
		if _, err := i.Introspect(t.Context(), fmt.Sprintf("garbage%d", flood-1), users); !errors.Is(err, resource.ErrInvalid) || as.asked.Load() != flood+1 {
			t.Errorf("%v, %d questions", err, as.asked.Load())
		}
	})
}

// Too many tokens in question at one time: later ones are told to come back.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{delay: func(int64) time.Duration { return time.Second }}
		i := newIntrospector(t, as.ServeHTTP)
		var wg sync.WaitGroup
		var refused atomic.Int64
		for n := range 1000 {
			wg.Go(func() {
				if _, err := i.Introspect(t.Context(), fmt.Sprintf("garbage%d", n), users); errors.Is(err, resource.ErrUnavailable) {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if as.asked.Load() != 256 || refused.Load() != 744 {
			t.Errorf("%d questions, %d refused; want 256 and 744", as.asked.Load(), refused.Load())
		}
	})
}

func TestForgetAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &fakeAS{}
		i := newIntrospector(t, as.ServeHTTP)
		if _, err := i.Introspect(t.Context(), "good", users); err != nil {
			t.Fatal(err)
		}
		as.revoked.Store(true)
		i.Forget("good")
		if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrInvalid) {
			t.Errorf("%v; want ErrInvalid", err)
		}
	})
}

// R-RS-7, R-RS-9: what an answer must say for a token to count.
func TestIntrospectionRefuses(t *testing.T) {
	good := func() map[string]any {
		return map[string]any{"active": true, "aud": users, "iss": issuer, "sub": "alice", "client_id": "c", "exp": time.Now().Add(time.Hour).Unix()}
	}
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		err    error
	}{
		{"good", func(map[string]any) {}, nil},
		{"good, audience spelled otherwise", func(a map[string]any) { a["aud"] = "HTTPS://mcp.example.com:443/users" }, nil},
		{"not active", func(a map[string]any) { a["active"] = false }, resource.ErrInvalid},
		{"active missing", func(a map[string]any) { delete(a, "active") }, resource.ErrInvalid},
		{"another resource of ours", func(a map[string]any) { a["aud"] = "https://mcp.example.com/orders" }, resource.ErrInvalid},
		{"prefix of the resource", func(a map[string]any) { a["aud"] = "https://mcp.example.com" }, resource.ErrInvalid},
		{"no audience", func(a map[string]any) { delete(a, "aud") }, resource.ErrInvalid},
		{"another issuer", func(a map[string]any) { a["iss"] = "https://evil.example" }, resource.ErrInvalid},
		{"expired", func(a map[string]any) { a["exp"] = time.Now().Unix() }, resource.ErrInvalid},
		{"no expiry", func(a map[string]any) { delete(a, "exp") }, resource.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newIntrospector(t, func(w http.ResponseWriter, _ *http.Request) {
				a := good()
				c.change(a)
				answer(w, a)
			})
			if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, c.err) {
				t.Errorf("%v; want %v", err, c.err)
			}
		})
	}
}

// security.md 11: if nobody can be asked, the request is refused, and not as
// if the token were bad.
func TestIntrospectionFailsClosed(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"client unknown": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			answer(w, map[string]any{"active": true})
		},
		"page":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too large":     func(w http.ResponseWriter, _ *http.Request) { answer(w, strings.Repeat("x", 600<<10)) },
		"wrongly typed": func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]any{"active": "true"}) },
		"slow for ever": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"empty":         func(http.ResponseWriter, *http.Request) {},
		"redirect, never followed": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host != "login.example.com" {
				panic("the token went to " + r.URL.Host)
			}
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIntrospector(t, h)
				if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrUnavailable) || errors.Is(err, resource.ErrInvalid) {
					t.Errorf("%v; want ErrUnavailable", err)
				}
			})
		})
	}
}

// A failure is not remembered: the next request tries again.
func TestIntrospectionRecovers(t *testing.T) {
	as := &fakeAS{}
	fail := true
	i := newIntrospector(t, func(w http.ResponseWriter, r *http.Request) {
		if fail {
			w.WriteHeader(503)
			return
		}
		as.ServeHTTP(w, r)
	})
	if _, err := i.Introspect(t.Context(), "good", users); !errors.Is(err, resource.ErrUnavailable) {
		t.Fatal(err)
	}
	fail = false
	if _, err := i.Introspect(t.Context(), "good", users); err != nil {
		t.Error(err)
	}
}

// RFC 7523 §3: the gateway authenticates with its key, each time with a fresh
// assertion; the token is in the body, never in the URL.
func TestIntrospectionAuthenticates(t *testing.T) {
	s, key := newSigner(t)
	keys, err := jose.ParseKeySet(jose.PublicSet(key))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	client := &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.String() != endpoint || r.Header.Get("Authorization") != "" || r.PostFormValue("token") != "good" {
			t.Errorf("%s %s, form %v", r.Method, r.URL, r.PostForm)
		}
		jti, _, err := jose.VerifyAssertion(r.PostFormValue("client_assertion"), keys, "gateway", []string{issuer}, time.Now())
		if err != nil || seen[jti] {
			t.Errorf("assertion: %v, used before: %t", err, seen[jti])
		}
		seen[jti] = true
		answer(w, map[string]any{"active": false})
	})}}
	i := &resource.Introspector{Endpoint: endpoint, Server: &resource.AuthorizationServer{Issuer: issuer, ClientID: "gateway", Signer: s, Client: client}}
	for range 2 {
		_, _ = i.Introspect(t.Context(), "good", users)
		i.Forget("good")
	}
	if len(seen) != 2 {
		t.Errorf("%d assertions; want 2", len(seen))
	}
}
