package egress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/egress"
	"gatehouse/internal/webtest"
)

const name = "app.example.test"

var loopback = netip.MustParseAddr("127.0.0.1")

// site is an https server on loopback whose address is on the list, and a
// client that may reach it.
func site(t *testing.T, h http.HandlerFunc) (c *egress.Client, base string) {
	t.Helper()
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, h, name)
	return &egress.Client{
		Allowed: []egress.Exception{exception(t, name+":"+port)}, Roots: authority.Roots,
		Resolver: webtest.NewResolver(func(string) []netip.Addr { return []netip.Addr{loopback} }),
	}, "https://" + name + ":" + port
}

func exception(t *testing.T, s string) egress.Exception {
	t.Helper()
	e, err := egress.ParseException(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func get(t *testing.T, c *egress.Client, url string) (egress.Response, error) {
	t.Helper()
	return c.Get(t.Context(), egress.Request{URL: url, Accept: "application/json", ETag: `"e"`, MaxBody: 100})
}

func TestGet(t *testing.T) {
	c, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"e"` || r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" {
			t.Errorf("headers %v", r.Header)
		}
		fmt.Fprint(w, "hello "+r.URL.Path)
	})
	answer, err := get(t, c, base+"/x")
	if err != nil || answer.Status != http.StatusOK || string(answer.Body) != "hello /x" {
		t.Fatalf("%+v %v", answer, err)
	}
}

// Every special-use address is refused at the moment of dialling, however it
// is written (proving.md: CIMD SSRF; R-AS-11; RFC 6890).
func TestSpecialAddressesAreRefused(t *testing.T) {
	var leads netip.Addr
	for _, address := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.8.8",
		"169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1",
		"192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", // mapped, compatible, translated
		"64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", // NAT64
		"100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", // Teredo, ORCHID, 6to4
		"2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "4000::1",
	} {
		leads = netip.MustParseAddr(address)
		// A client each, since one that refused a host leaves it alone for a while.
		c := &egress.Client{Resolver: webtest.NewResolver(func(string) []netip.Addr { return []netip.Addr{leads} })}
		if _, err := get(t, c, "https://"+name+"/"); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("a name that leads to %s: %v", address, err)
		}
		host := address
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if _, err := get(t, &egress.Client{}, "https://"+host+"/"); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("https://%s/: %v", host, err)
		}
	}
}

// What lies beside the special ranges is public.
func TestPublicAddressesPass(t *testing.T) {
	for _, address := range []string{"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1", "2a00:1450::1", "64:ff9b::101:101"} {
		if err := egress.CheckPublic(netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// DNS rebinding: the name is public when it is looked up first, and private
// when it counts (R-AS-11). Both answers at once are no way in either.
func TestDNSRebinding(t *testing.T) {
	var reached atomic.Bool
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }), name)
	var questions atomic.Int32
	c := &egress.Client{
		Allowed: []egress.Exception{exception(t, "192.0.2.7:"+port)}, Roots: authority.Roots, // opens the port for another address only
		Resolver: webtest.NewResolver(func(string) []netip.Addr {
			questions.Add(1)
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
		}),
	}
	if _, err := get(t, c, "https://"+name+":"+port+"/"); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("private at dial time: %v", err)
	}
	if questions.Load() == 0 || reached.Load() {
		t.Errorf("%d questions, reached %v", questions.Load(), reached.Load())
	}

	first := true
	var mu sync.Mutex
	rebinding := webtest.NewResolver(func(string) []netip.Addr {
		mu.Lock()
		defer mu.Unlock()
		if first {
			first = false
			return []netip.Addr{netip.MustParseAddr("1.1.1.1")} // to whoever checks first
		}
		return []netip.Addr{loopback} // to who dials
	})
	if _, err := rebinding.LookupNetIP(t.Context(), "ip", name); err != nil {
		t.Fatal(err)
	}
	c = &egress.Client{Resolver: rebinding}
	if _, err := get(t, c, "https://"+name+"/"); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("rebound: %v", err)
	}
}

// The list opens what it says and nothing beside it.
func TestExceptions(t *testing.T) {
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), name, "other.example.test")
	for _, tt := range []struct {
		allowed, host string
		leads         string
		ok            bool
	}{
		{name + ":" + port, name, "127.0.0.1", true},
		{"127.0.0.1:" + port, name, "127.0.0.1", true},
		{"127.0.0.1:" + port, "other.example.test", "127.0.0.1", true},
		{name + ":" + port, "other.example.test", "127.0.0.1", false},
		{name, name, "127.0.0.1", false},          // its port is 443
		{"127.0.0.0/8", name, "127.0.0.1", false}, // likewise
		{"127.0.0.2:" + port, name, "127.0.0.1", false},
		{"127.0.0.2:" + port, name, "1.1.1.1", false},       // a port is listed for an address, not for the internet
		{name + ":" + port, name, "169.254.169.254", false}, // a name never opens the metadata service,
		{name + ":" + port, name, "0.0.0.0", false},
		{name + ":" + port, name, "::ffff:169.254.169.254", false},
		{name + ":" + port, name, "224.0.0.1", false},
	} {
		c := &egress.Client{Allowed: []egress.Exception{exception(t, tt.allowed)}, Roots: authority.Roots,
			Resolver: webtest.NewResolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(tt.leads)} })}
		_, err := get(t, c, "https://"+tt.host+":"+port+"/")
		if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%s allowed, %s leading to %s: %v", tt.allowed, tt.host, tt.leads, err)
		}
	}
	for _, bad := range []string{"", "*", "*.example.test", "0.0.0.0/0", "::/0", "10.1.2.3/8", "Example.test", "a b", "x:0", "x:443000", "x:08443", "::ffff:10.0.0.0/104", "https://x", "x/", "fe80::1%eth0"} {
		if _, err := egress.ParseException(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, good := range []string{"apps.internal", "apps.internal:8443", "10.1.0.0/16", "10.1.2.3", "10.1.2.3:8443", "fd00::1", "[fd00::1]:8443", "fd00::/8", "localhost:8443"} {
		exception(t, good)
	}
}

func TestURLsAreRefusedBeforeAnythingIsLookedUp(t *testing.T) {
	c := &egress.Client{Resolver: webtest.NewResolver(func(n string) []netip.Addr { t.Errorf("looked up %s", n); return nil })}
	for _, url := range []string{
		"http://" + name + "/", "ftp://" + name + "/", "file:///etc/passwd", "gopher://" + name + "/", "//" + name + "/", name,
		"https:///x", "https://", "https:" + name, "https://user@" + name + "/", "https://u:p@" + name + "/", "https://" + name + "/#x",
		"https://" + name + ":22/", "https://" + name + ":8443/", "https://" + name + ":80/", "https://[::1", "https://" + name + "\r\nX: y/", "",
	} {
		if _, err := get(t, c, url); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Redirects are not followed, whatever they lead to (R-AS-11).
func TestRedirectsAreNotFollowed(t *testing.T) {
	c, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("followed to %s", r.URL)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	answer, err := get(t, c, base+"/")
	if err != nil || answer.Status != http.StatusFound || len(answer.Body) != 0 {
		t.Errorf("%+v %v", answer, err)
	}
}

// The environment's proxy would look names up for us.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	c, base := site(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, c, base+"/"); err != nil {
		t.Error(err)
	}
}

// Huge bodies, bombs, endless headers (proving.md).
func TestAnswersAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding %q", got)
		}
		switch r.URL.Path {
		case "/exact":
			fmt.Fprint(w, strings.Repeat("x", 100))
		case "/huge":
			fmt.Fprint(w, strings.Repeat("x", 101))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes()[:90])
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 64<<10))
		}
	})
	if answer, err := get(t, c, base+"/exact"); err != nil || len(answer.Body) != 100 {
		t.Errorf("exactly the limit: %v", err)
	}
	for _, path := range []string{"/huge", "/endless", "/bomb"} {
		if _, err := get(t, c, base+path); !errors.Is(err, egress.ErrAnswer) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := get(t, c, base+"/header"); err == nil {
		t.Error("a header of 64 KB passed")
	}
}

// A server that drips its answer is left after five seconds at most.
func TestSlowAnswersEnd(t *testing.T) {
	t.Parallel() // it takes these five seconds
	c, base := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("x"))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	start := time.Now()
	if _, err := get(t, c, base+"/"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 7*time.Second {
		t.Errorf("took %s", took)
	}
}

// A certificate of the list's roots counts on the list alone, and for its name.
func TestCertificates(t *testing.T) {
	c, base := site(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	c.Roots = nil
	if _, err := get(t, c, base+"/"); err == nil || errors.Is(err, egress.ErrAddress) {
		t.Errorf("an authority that nobody trusts: %v", err)
	}
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }), "other.example.test")
	c = &egress.Client{Allowed: []egress.Exception{exception(t, "127.0.0.1:"+port)}, Roots: authority.Roots, Resolver: c.Resolver}
	if _, err := get(t, c, "https://"+name+":"+port+"/"); err == nil {
		t.Error("a certificate for another name passed")
	}
}

// A host that could not be reached is left alone for ten seconds, whatever is
// asked of it.
func TestUnreachableHostsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var questions atomic.Int32
		c := &egress.Client{Resolver: webtest.NewResolver(func(string) []netip.Addr {
			questions.Add(1)
			return []netip.Addr{loopback}
		})}
		ask := func(path string) int32 {
			before := questions.Load()
			if _, err := get(t, c, "https://"+name+path); !errors.Is(err, egress.ErrAddress) {
				t.Errorf("%v", err)
			}
			return questions.Load() - before
		}
		if ask("/1") == 0 {
			t.Error("not looked up")
		}
		if n := ask("/2"); n != 0 {
			t.Errorf("looked up again %d times", n)
		}
		time.Sleep(11 * time.Second)
		if ask("/3") == 0 {
			t.Error("never looked up again")
		}
	})
}

// One host cannot take all slots.
func TestConcurrencyOfOneHostIsBounded(t *testing.T) {
	release := make(chan struct{})
	var running, most atomic.Int32
	c, base := site(t, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		<-release
		running.Add(-1)
	})
	results := make(chan error, 12)
	for range cap(results) {
		go func() {
			_, err := c.Get(t.Context(), egress.Request{URL: base + "/", MaxBody: 1})
			results <- err
		}()
	}
	busy := 0
	for range cap(results) - 4 {
		if err := <-results; errors.Is(err, egress.ErrBusy) {
			busy++
		}
	}
	close(release)
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if busy != cap(results)-4 || most.Load() > 4 {
		t.Errorf("%d were refused, %d ran at once", busy, most.Load())
	}
}

// R-AS-10: HTTP caching, RFC 9111 and RFC 5861.
func TestFreshness(t *testing.T) {
	for _, tt := range []struct {
		header string
		fresh  time.Duration
		told   bool
		stale  time.Duration
	}{
		{"", 0, false, time.Hour},
		{"Cache-Control: max-age=60", time.Minute, true, time.Hour},
		{"Cache-Control: public, MAX-AGE=\"60\"", time.Minute, true, time.Hour},
		{"Cache-Control: max-age=60|Age: 45", 15 * time.Second, true, time.Hour},
		{"Cache-Control: max-age=60|Age: 61", 0, true, time.Hour},
		{"Cache-Control: s-maxage=30, max-age=60", 30 * time.Second, true, 0},
		{"Cache-Control: max-age=60, no-store", 0, true, 0},
		{"Cache-Control: no-cache", 0, true, 0},
		{"Cache-Control: private, max-age=60", 0, true, 0},
		{"Cache-Control: max-age=60|Cache-Control: must-revalidate", time.Minute, true, 0},
		{"Cache-Control: max-age=60, stale-if-error=5", time.Minute, true, 5 * time.Second},
		{"Cache-Control: max-age=60, stale-if-error=999999999999999999999", time.Minute, true, 0},
		{"Cache-Control: max-age=-1", 0, true, time.Hour},
		{"Cache-Control: max-age=99999999999", (1 << 31) * time.Second, true, time.Hour},
		{"Cache-Control: max-age=10, max-age=99", 10 * time.Second, true, time.Hour},
		{"Expires: Mon, 02 Jan 2006 15:05:05 GMT|Date: Mon, 02 Jan 2006 15:04:05 GMT", time.Minute, true, time.Hour},
		{"Expires: 0|Date: Mon, 02 Jan 2006 15:04:05 GMT", 0, true, time.Hour},
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(tt.header, "|") {
			if key, value, ok := strings.Cut(line, ": "); ok {
				h.Add(key, value)
			}
		}
		r := egress.Response{Header: h}
		fresh, told := r.Fresh()
		if stale := r.StaleIfError(time.Hour); fresh != tt.fresh || told != tt.told || stale != tt.stale {
			t.Errorf("%q: fresh %s %v, stale %s", tt.header, fresh, told, stale)
		}
	}
}
