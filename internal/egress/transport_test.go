package egress_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/egress"
	"gatehouse/internal/webtest"
)

// R-CL-23: a client behind this guard reaches the exceptions and nothing else of
// this network, whatever a name turns out to mean; plain http stays on this
// computer.
func TestTransport(t *testing.T) {
	reached := 0
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached++
		_, _ = io.WriteString(w, "here")
	}))
	t.Cleanup(here.Close)
	_, port, _ := strings.Cut(here.Listener.Addr().String(), ":")
	c := &egress.Client{Resolver: webtest.NewResolver(func(name string) []netip.Addr {
		switch strings.TrimSuffix(name, ".") {
		case "listed.example", "other.example":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		case "inner.example":
			return []netip.Addr{netip.MustParseAddr("10.1.2.3")}
		}
		return nil
	})}
	for _, s := range []string{"tools.localhost:" + port, "listed.example:" + port, "inner.example:" + port} {
		e, err := egress.ParseException(s)
		if err != nil {
			t.Fatal(err)
		}
		c.Allowed = append(c.Allowed, e)
	}
	transport := c.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	get := func(address string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	for _, address := range []string{"http://tools.localhost:" + port, "http://listed.example:" + port} {
		if err := get(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	before := reached
	for _, address := range []string{
		"http://127.0.0.1:" + port, "http://localhost:" + port, "http://other.localhost:" + port, "http://other.example:" + port,
		"http://inner.example:" + port, // listed, but not this computer: no plain http
		"https://other.example:" + port, "https://10.1.2.3/", "http://169.254.169.254/", "https://[::1]/", "https://127.0.0.1/",
	} {
		if err := get(address); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if reached != before {
		t.Errorf("%d requests arrived", reached-before)
	}
}
