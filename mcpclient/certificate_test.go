package mcpclient_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/mcpclient"
)

// writeCertificate makes a self-signed one in two files.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// bound is an authorization server and an MCP server over TLS that bind tokens
// to certificates.
type bound struct {
	server, metadata, alias *httptest.Server
	methods                 []string
	roots                   *x509.CertPool

	mu      sync.Mutex
	strange int                 // certificates shown where none is to be
	tokens  map[string][32]byte // access token to thumbprint
	serials []int64             // of certificates shown for tokens
	refused int                 // tokens with another certificate than theirs
}

func thumbprint(r *http.Request) (sum [32]byte) {
	if len(r.TLS.PeerCertificates) > 0 {
		sum = sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	}
	return sum
}

func newBound(t *testing.T) *bound {
	b := &bound{methods: []string{"self_signed_tls_client_auth"}, tokens: map[string][32]byte{}, roots: x509.NewCertPool()}
	start := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		b.roots.AddCert(s.Certificate())
		return s
	}
	b.metadata = start(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.strange += len(r.TLS.PeerCertificates)
		if r.URL.Path != "/.well-known/oauth-authorization-server" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": b.metadata.URL, "token_endpoint": b.metadata.URL + "/token",
			"grant_types_supported": []string{"client_credentials"}, "token_endpoint_auth_methods_supported": b.methods,
			"mtls_endpoint_aliases": map[string]string{"token_endpoint": b.alias.URL + "/token"},
		})
	})
	b.alias = start(b.issue)
	server := mcp.NewServer(&mcp.Implementation{Name: "bound", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	b.server = start(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, inner) })
	return b
}

func (b *bound) issue(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(r.TLS.PeerCertificates) != 1 || r.FormValue("client_id") != "exporter" || r.FormValue("grant_type") != "client_credentials" ||
		r.FormValue("resource") != b.server.URL || r.PostForm.Has("client_secret") || r.Header.Get("Authorization") != "" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	}
	token := fmt.Sprint("access-", len(b.tokens))
	b.tokens[token] = thumbprint(r)
	b.serials = append(b.serials, r.TLS.PeerCertificates[0].SerialNumber.Int64())
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 1})
}

func (b *bound) serve(w http.ResponseWriter, r *http.Request, inner http.Handler) {
	if r.URL.Path == "/.well-known/oauth-protected-resource" {
		_ = json.NewEncoder(w).Encode(map[string]any{"resource": b.server.URL, "authorization_servers": []string{b.metadata.URL}})
		return
	}
	b.mu.Lock()
	want, known := b.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	wrong := known && want != thumbprint(r)
	if wrong {
		b.refused++
	}
	b.mu.Unlock()
	if !known || wrong {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+b.server.URL+`/.well-known/oauth-protected-resource"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	inner.ServeHTTP(w, r)
}

// A client is who its certificate says, where the server's alias is, and nobody
// else sees it; the token goes with the certificate that it is bound to, also
// once the files were replaced in the midst of a session (RFC 8705 §2.2, §3, §5;
// R-CL-14, R-CL-19).
func TestCertificate(t *testing.T) {
	b := newBound(t)
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writeCertificate(t, cert, key, 1)
	c := &mcpclient.Client{ClientID: "exporter", Unattended: true, Certificate: mcpclient.CertificateFiles(cert, key), RootCAs: b.roots}
	s, err := c.Connect(t.Context(), b.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	writeCertificate(t, cert, key, 2)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := s.Call(t.Context(), "echo", map[string]any{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.strange != 0 {
		t.Error("the certificate was shown to a server that it is not for")
	}
	if n := len(b.serials); n < 2 || b.serials[0] != 1 || b.serials[n-1] != 2 {
		t.Errorf("certificates shown were %v, want 1 and then 2", b.serials)
	}
}

// Nothing less is taken in place of mutual TLS.
func TestCertificateRefused(t *testing.T) {
	b := newBound(t)
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writeCertificate(t, cert, key, 1)
	for _, c := range []struct {
		name    string
		methods []string
		change  func(*mcpclient.Client)
		want    string
	}{
		{"downgrade to none", []string{"none"}, nil, "does not take tls_client_auth"},
		{"server says nothing", nil, nil, "does not take tls_client_auth"},
		{"no file", []string{"tls_client_auth"}, func(c *mcpclient.Client) { c.Certificate = mcpclient.CertificateFiles(cert+"x", key) }, "load the client's certificate"},
		{"no client", []string{"tls_client_auth"}, func(c *mcpclient.Client) { c.ClientID = "" }, "client id"},
		{"two proofs", []string{"tls_client_auth"}, func(c *mcpclient.Client) { c.ClientSecret = "x" }, "by one only"},
		{"foreign transport", []string{"tls_client_auth"}, func(c *mcpclient.Client) { c.Transport = http.DefaultTransport }, "leave Transport out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.methods = c.methods
			client := &mcpclient.Client{ClientID: "exporter", Unattended: true, Certificate: mcpclient.CertificateFiles(cert, key), RootCAs: b.roots}
			if c.change != nil {
				c.change(client)
			}
			err := call(t, client, b.server.URL)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if len(b.tokens) != 0 {
				t.Error("a token was issued")
			}
		})
	}
	// A token endpoint without TLS gets no request at all.
	as := newAuthServer(t)
	as.change = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls_client_auth"} }
	client := &mcpclient.Client{ClientID: "exporter", Unattended: true, Certificate: mcpclient.CertificateFiles(cert, key)}
	if err := call(t, client, newResource(t, as).URL); !errors.Is(err, mcpclient.ErrURL) || as.times("/token") != 0 {
		t.Errorf("over plain http: %v", err)
	}
}
