package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
	"gatehouse/internal/httpserver"
)

// BenchmarkCall compares a warm tool call with the least that a proxy must do
// for the same request (performance.md, P5): compare the two, never with
// another machine.
func BenchmarkCall(b *testing.B) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"7","name":"Ada","email":"ada@example.com","region":"USA"}`)
	}))
	defer api.Close()
	address, err := url.Parse(api.URL)
	if err != nil {
		b.Fatal(err)
	}
	peers := httpserver.PeerClient(&httpserver.Dialer{}, nil).Transport
	b.Run("proxy", func(b *testing.B) {
		proxy := &httputil.ReverseProxy{Transport: peers, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(address)
			r.Out.Header.Set("Authorization", "Bearer fixed")
		}}
		run(b, &httpserver.Server{Hosts: map[string]http.Handler{"mcp.example.com": proxy}}, request{method: "GET", path: "/users/7", token: "reader"})
	})
	b.Run("gateway", func(b *testing.B) {
		w := newWorld(b, func(s *gateway.Server) {
			inner := s.Client.Transport
			s.CallsPerSecond = 1e9
			s.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "api.example.com" {
					return inner.RoundTrip(r)
				}
				r.URL.Scheme, r.URL.Host = address.Scheme, address.Host
				return peers.RoundTrip(r)
			})}
		})
		run(b, w.handler, modern("reader", "tools/call", map[string]any{"name": "fetch-user", "arguments": map[string]any{"id": "7"}}))
	})
}

func run(b *testing.B, h http.Handler, q request) {
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	template := q.build(b.Context())
	for b.Loop() {
		r, err := http.NewRequest(template.Method, server.URL+template.URL.Path, strings.NewReader(q.body))
		if err != nil {
			b.Fatal(err)
		}
		r.Host, r.Header = "mcp.example.com", template.Header
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(body), "Ada") {
			b.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
}
