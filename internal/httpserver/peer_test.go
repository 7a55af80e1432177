package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/httpserver"
)

// TestPeersAreReachedOverTheOwnListener is security.md 16.
func TestPeersAreReachedOverTheOwnListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(func(w http.ResponseWriter, r *http.Request) {
			if a := httpserver.ClientAddr(r); a.IsValid() {
				t.Errorf("client address is %s", a)
			}
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		})
		network, stop := serve(t, s)
		client := httpserver.PeerClient(&httpserver.Dialer{Local: map[string]func(context.Context) (net.Conn, error){"login.localhost:8080": network.Dial}}, nil)
		resp, err := client.Get("http://LOGIN.localhost:8080/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusFound {
			t.Errorf("status %d: redirects must not be followed", resp.StatusCode)
		}
		client.CloseIdleConnections()
		stop()
	})
}

// TestLocalhostNamesAreThisMachine is RFC 6761 §6.3.
func TestLocalhostNamesAreThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := httpserver.PeerClient(&httpserver.Dialer{}, nil)
	t.Cleanup(client.CloseIdleConnections)
	for _, host := range []string{"localhost", "api.localhost", "a.b.LOCALHOST", "127.0.0.1"} {
		resp, err := client.Get("http://" + host + ":" + u.Port() + "/")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: status %d", host, resp.StatusCode)
		}
	}
	server.Close()
	if _, err := client.Get("http://api.localhost:" + u.Port() + "/"); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error is %v", err)
	}
}

func TestPeerClientUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://evil.example:3128")
	client := httpserver.PeerClient(&httpserver.Dialer{Local: map[string]func(context.Context) (net.Conn, error){
		"api.example.com:80": func(context.Context) (net.Conn, error) { return nil, errDialed },
	}}, nil)
	if _, err := client.Get("http://api.example.com/"); !errors.Is(err, errDialed) {
		t.Errorf("error is %v", err)
	}
}

var errDialed = errors.New("dialed the peer itself")

// TestClientAddrIgnoresHeaders: no trusted proxies are configured.
func TestClientAddrIgnoresHeaders(t *testing.T) {
	for remote, want := range map[string]netip.Addr{
		"192.0.2.7:1234":          netip.MustParseAddr("192.0.2.7"),
		"[2001:db8::7]:1234":      netip.MustParseAddr("2001:db8::7"),
		"[::ffff:192.0.2.7]:1234": netip.MustParseAddr("192.0.2.7"),
		"[fe80::1%eth0]:1234":     netip.MustParseAddr("fe80::1"),
		"pipe":                    {},
		"":                        {},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		r.Header.Set("Forwarded", "for=198.51.100.1")
		r.Header.Set("X-Real-Ip", "198.51.100.1")
		if got := httpserver.ClientAddr(r); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

func TestClientKeyJoinsIPv6Networks(t *testing.T) {
	key := func(a string) string { return httpserver.ClientKey(netip.MustParseAddr(a)) }
	if key("2001:db8::1") != key("2001:db8::ffff:1") || key("2001:db8::1") == key("2001:db8:0:1::1") {
		t.Error("keys are not by /64")
	}
	if key("192.0.2.1") == key("192.0.2.2") || key("::ffff:192.0.2.1") != key("192.0.2.1") {
		t.Error("keys of IPv4 are not by address")
	}
	if httpserver.ClientKey(netip.Addr{}) == "" {
		t.Error("no key for no address")
	}
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &httpserver.Limiter{Every: 10 * time.Second, Burst: 3, MaxKeys: 8}
		for i := range 3 {
			if ok, _ := l.Allow("a"); !ok {
				t.Errorf("event %d was refused", i)
			}
		}
		for range 20 { // refused events are not counted
			if ok, retry := l.Allow("a"); ok || retry != 10*time.Second {
				t.Errorf("allowed %t, retry after %s", ok, retry)
			}
		}
		if ok, _ := l.Allow("b"); !ok {
			t.Error("another key was refused")
		}
		time.Sleep(10 * time.Second)
		if ok, _ := l.Allow("a"); !ok {
			t.Error("refused after waiting")
		}
		if ok, _ := l.Allow("a"); ok {
			t.Error("allowed twice after waiting for one")
		}
	})
	if ok, retry := (&httpserver.Limiter{Every: time.Second}).Allow("a"); ok || retry != time.Second {
		t.Error("the zero limit allows something")
	}
}

// TestLimiterRemembersBusyKeys: a flood of other keys below the bound frees
// nobody, and beyond it memory stays bounded.
func TestLimiterRemembersBusyKeys(t *testing.T) {
	l := &httpserver.Limiter{Every: time.Hour, Burst: 1, MaxKeys: 100}
	l.Allow("a")
	for i := range 10_000 {
		l.Allow(fmt.Sprint(i))
		if i%50 == 0 {
			if ok, _ := l.Allow("a"); ok {
				t.Fatalf("forgotten after %d keys", i)
			}
		}
	}
}
