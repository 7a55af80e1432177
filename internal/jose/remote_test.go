package jose_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/jose"
)

// keyServer answers in memory for the issuer's jwks_uri.
type keyServer struct {
	document atomic.Pointer[string] // nil: the server is down
	fetches  atomic.Int64
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.fetches.Add(1)
	select { // every answer takes its time
	case <-time.After(100 * time.Millisecond):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	document := s.document.Load()
	if document == nil {
		return nil, errors.New("connection refused")
	}
	status, body, _ := strings.Cut(*document, " ")
	code := http.StatusOK
	if status != "200" {
		code = http.StatusBadGateway
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func (s *keyServer) publish(t *testing.T, keys ...forge) {
	t.Helper()
	var jwks []string
	for _, k := range keys {
		jwks = append(jwks, k.jwk(t, ""))
	}
	document := `200 {"keys":[` + strings.Join(jwks, ",") + `]}`
	s.document.Store(&document)
}

func remote(s *keyServer) *jose.RemoteKeySet {
	return &jose.RemoteKeySet{URL: "http://login.localhost/jwks.json", Client: &http.Client{Transport: s}}
}

// token is good for ten hours of fake time.
func (f forge) token(t *testing.T) string {
	t.Helper()
	return f.sign(t, `{"alg":"ES256","typ":"at+jwt","kid":"`+f.kid+`"}`, goodPayload)
}

func verify(r *jose.RemoteKeySet, token string) error {
	return r.Verify(context.Background(), token, expect(), &jose.AccessClaims{})
}

func TestRemoteKeySetFetchesOnceForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, key := &keyServer{}, newForge(t, "k1")
		server.publish(t, key)
		keys, token := remote(server), key.token(t)
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if err := verify(keys, token); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n := server.fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestRemoteKeySetUnknownKid: rotation is noticed, and tokens that name made-up
// keys cannot make the verifier hammer the issuer.
func TestRemoteKeySetUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, old, fresh := &keyServer{}, newForge(t, "k1"), newForge(t, "k2")
		server.publish(t, old)
		keys := remote(server)
		if err := verify(keys, old.token(t)); err != nil {
			t.Fatal(err)
		}
		server.publish(t, old, fresh)
		for range 20 {
			if err := verify(keys, fresh.token(t)); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("within ten seconds: %v", err)
			}
		}
		if n := server.fetches.Load(); n != 1 {
			t.Errorf("%d fetches within ten seconds", n)
		}
		time.Sleep(10 * time.Second)
		if err := verify(keys, fresh.token(t)); err != nil {
			t.Errorf("after ten seconds: %v", err)
		}
		if err := verify(keys, old.token(t)); err != nil {
			t.Error(err)
		}
		if n := server.fetches.Load(); n != 2 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestRemoteKeySetForgetsWithdrawnKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, key := &keyServer{}, newForge(t, "k1")
		server.publish(t, key)
		keys := remote(server)
		if err := verify(keys, key.token(t)); err != nil {
			t.Fatal(err)
		}
		server.publish(t) // an empty set is an answer
		time.Sleep(5 * time.Minute)
		if err := verify(keys, key.token(t)); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("five minutes after withdrawal: %v", err)
		}
	})
}

func TestRemoteKeySetOutlivesTroubleForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, key := &keyServer{}, newForge(t, "k1")
		server.publish(t, key)
		keys := remote(server)
		if err := verify(keys, key.token(t)); err != nil {
			t.Fatal(err)
		}
		for _, trouble := range []string{"502 bad", "200 <html>", `200 {"keys":[` + strings.Repeat(" ", 256<<10) + `]}`} {
			server.document.Store(&trouble)
			time.Sleep(6 * time.Minute)
			if err := verify(keys, key.token(t)); err != nil {
				t.Errorf("%.20s: %v", trouble, err)
			}
		}
		server.document.Store(nil)
		time.Sleep(time.Hour)
		if err := verify(keys, key.token(t)); !errors.Is(err, jose.ErrKeysUnavailable) {
			t.Errorf("after an hour: %v", err)
		}
		before := server.fetches.Load()
		for range 10 {
			if err := verify(keys, key.token(t)); !errors.Is(err, jose.ErrKeysUnavailable) {
				t.Error(err)
			}
		}
		if server.fetches.Load() != before {
			t.Error("a server in trouble is asked again at once")
		}
		server.publish(t, key)
		time.Sleep(10 * time.Second)
		if err := verify(keys, key.token(t)); err != nil {
			t.Errorf("after recovery: %v", err)
		}
	})
}

func TestRemoteKeySetLetsCallersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, key := &keyServer{}, newForge(t, "k1")
		server.publish(t, key)
		keys := remote(server)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := keys.Verify(ctx, key.token(t), expect(), &jose.AccessClaims{})
		if !errors.Is(err, jose.ErrKeysUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		// The fetch goes on for the others.
		if err := verify(keys, key.token(t)); err != nil {
			t.Error(err)
		}
		if n := server.fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestRemoteKeySetFetchesNothingForNonsense(t *testing.T) {
	server := &keyServer{}
	if err := verify(remote(server), "nonsense"); !errors.Is(err, jose.ErrMalformed) {
		t.Error(err)
	}
	if server.fetches.Load() != 0 {
		t.Error("nonsense caused a fetch")
	}
}
