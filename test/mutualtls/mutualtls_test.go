// Package mutualtls_test has agents prove by a certificate who they are (RFC
// 8705), over real TLS: at the program itself, and at a proxy in front of it.
package mutualtls_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-mutualtls-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "gatehouse")
		if out, err := exec.Command("go", "build", "-o", binary, "gatehouse/cmd/gatehouse").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build gatehouse: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer
}

var serials int64

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign completes what; by itself if by is nil.
func sign(t *testing.T, what *x509.Certificate, key crypto.Signer, by *authority) *x509.Certificate {
	t.Helper()
	serials++
	what.SerialNumber = big.NewInt(serials)
	if what.NotBefore.IsZero() {
		what.NotBefore = time.Now().Add(-time.Hour)
	}
	if what.NotAfter.IsZero() {
		what.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := what, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, what, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newAuthority(t *testing.T, name string, by *authority) *authority {
	key := newKey(t)
	return &authority{t, sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key, by), key}
}

// agent makes a certificate for a workload, as SPIFFE has it.
func (a *authority) agent(uri string, change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Example"}, CommonName: "ledger"}, URIs: []*url.URL{u},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	key := newKey(a.t)
	return tls.Certificate{Certificate: [][]byte{sign(a.t, c, key, a).Raw}, PrivateKey: key}
}

func certificatePEM(ders ...[]byte) string {
	var b strings.Builder
	for _, der := range ders {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a Builder takes everything
	}
	return b.String()
}

const (
	loginHost, mtlsHost, mcpHost = "login.example.com", "mtls.example.com", "mcp.example.com"
	ledgerURI                    = "spiffe://example.org/ledger"
)

// place is an installation whose names all lead to one port.
type place struct {
	t        *testing.T
	folder   string
	address  string // where TLS ends
	roots    *x509.CertPool
	agents   *authority
	own      *authority // of the servers
	log      *buffer
	upstream string // plain http behind a proxy; empty without one
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *place) base(host string) string { return "https://" + host + ":" + p.port() }

func (p *place) port() string {
	_, port, _ := net.SplitHostPort(p.address)
	return port
}

// newPlace starts a server. header is what a proxy in front passes certificates
// on with, as form writes them; without one the server ends TLS itself.
func newPlace(t *testing.T, header string, form func([]byte) string) *place {
	t.Helper()
	p := &place{t: t, folder: t.TempDir(), address: free(t), roots: x509.NewCertPool(), log: &buffer{}}
	p.own, p.agents = newAuthority(t, "servers", nil), newAuthority(t, "agents", nil)
	p.roots.AddCert(p.own.cert)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"books":[]}`) // the gateway may be gone
	}))
	t.Cleanup(api.Close)
	key := newKey(t)
	leaf := sign(t, &x509.Certificate{DNSNames: []string{loginHost, mtlsHost, mcpHost}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key, p.own)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.write("server.pem", certificatePEM(leaf.Raw))
	p.write("server-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	p.write("servers-ca.pem", certificatePEM(p.own.cert.Raw))
	p.write("agents-ca.pem", certificatePEM(p.agents.cert.Raw))
	p.write("openapi.yaml", `{openapi: 3.1.0, info: {title: Bookshop, version: "1"}, paths: {/books: {get: {operationId: list-books, responses: {"200": {description: ok}}}}}}`)
	listen, how := p.address, "tls: {certificate: server.pem, key: server-key.pem}\n"
	proxied := ""
	if header != "" {
		p.upstream = free(t)
		listen, how, proxied = p.upstream, "", ", header: "+header+", proxies: [127.0.0.1]"
		p.proxy(tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, header, form)
	}
	p.write("gatehouse.yaml", "urls: {authserver: \""+p.base(loginHost)+"\", gateway: \""+p.base(mcpHost)+"\"}\nlisten: "+listen+"\n"+how+
		"mutual_tls: {url: \""+p.base(mtlsHost)+"\", authorities: agents-ca.pem"+proxied+"}\n"+
		"store: sqlite:gatehouse.db\ndata: data\npeers: {roots: servers-ca.pem}\napis:\n  - {name: books, openapi: file:openapi.yaml, url: \""+api.URL+"\"}\n")
	p.run("migrate", "-c", "gatehouse.yaml")
	p.start()
	return p
}

func (p *place) run(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (p *place) start() {
	p.t.Helper()
	cmd := exec.Command(binary, "serve", "-c", "gatehouse.yaml")
	cmd.Dir, cmd.Stderr = p.folder, p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line := make([]byte, 256)
	n, _ := out.Read(line)
	if !strings.HasPrefix(string(line[:n]), "gatehouse serves ") {
		_ = cmd.Wait()
		p.t.Fatalf("serve: %s\n%s", line[:n], p.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("serve ended: %v\n%s", err, p.log)
		}
	})
}

// proxy ends TLS as a load balancer does: it asks for a certificate, verifies
// none, and replaces the header by what was shown.
func (p *place) proxy(certificate tls.Certificate, header string, form func([]byte) string) {
	p.t.Helper()
	l, err := tls.Listen("tcp", p.address, &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"http/1.1"}})
	if err != nil {
		p.t.Fatal(err)
	}
	target := &url.URL{Scheme: "http", Host: p.upstream}
	server := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del(header)
		if shown := r.In.TLS.PeerCertificates; len(shown) > 0 {
			r.Out.Header.Set(header, form(shown[0].Raw))
		}
	}}}
	go func() { _ = server.Serve(l) }() // until it is closed
	p.t.Cleanup(func() { _ = server.Close() })
}

// client reaches every name of the place, and shows a certificate if it has one.
func (p *place) client(certificate *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.address)
	}}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// token asks for one at a host; the code is that of a refusal.
func (p *place) token(c *http.Client, host, id string) (token, code string) {
	p.t.Helper()
	resp, err := c.PostForm(p.base(host)+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "resource": {p.base(mcpHost) + "/books"}})
	if err != nil {
		p.t.Fatal(err)
	}
	return answer(p.t, resp)
}

func answer(t *testing.T, resp *http.Response) (token, code string) {
	t.Helper()
	defer resp.Body.Close()
	var body struct {
		Token string `json:"access_token"`
		Code  string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return body.Token, body.Code
}

// call calls the tool and returns the status.
func (p *place) call(c *http.Client, token string) int {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.base(mcpHost)+"/books", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list-books","arguments":{}}}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK && (!bytes.Contains(body, []byte(`\"books\"`)) || bytes.Contains(body, []byte(`"isError":true`))) {
		p.t.Fatalf("the call did not reach the API: %s", body)
	}
	return resp.StatusCode
}

func rfc9440(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

// escaped is nginx's $ssl_client_escaped_cert.
func escaped(der []byte) string { return url.PathEscape(certificatePEM(der)) }

// TestMutualTLS is RFC 8705 with an authority's and with self-signed
// certificates, and every way in which the wrong one comes.
func TestMutualTLS(t *testing.T) {
	for _, kind := range []struct {
		name, header string
		form         func([]byte) string
	}{
		{"direct", "", nil},
		{"proxy RFC 9440", "Client-Cert", rfc9440},
		{"proxy nginx", "X-SSL-Cert", escaped},
		{"proxy base64", "X-Forwarded-Tls-Client-Cert", base64.StdEncoding.EncodeToString},
	} {
		t.Run(kind.name, func(t *testing.T) {
			p := newPlace(t, kind.header, kind.form)
			p.run("client", "add", "Ledger", "--id", "ledger", "--scope", "books:read", "--certificate-subject", "uri:"+ledgerURI, "-c", "gatehouse.yaml")
			p.run("client", "add", "By name", "--id", "by-name", "--scope", "books:read", "--certificate-subject", "dn:CN=ledger,O=Example", "-c", "gatehouse.yaml")
			stranger := newAuthority(t, "elsewhere", nil)
			self, second := stranger.agent("spiffe://self.example/a", nil), stranger.agent("spiffe://self.example/b", nil)
			p.write("own.pem", certificatePEM(self.Certificate[0], second.Certificate[0]))
			p.run("client", "add", "Own", "--id", "own", "--scope", "books:read", "--certificate", "own.pem", "-c", "gatehouse.yaml")
			ledger := p.agents.agent(ledgerURI, nil)

			t.Run("RFC 8705 section 2", func(t *testing.T) {
				for name, who := range map[string]struct {
					id          string
					certificate tls.Certificate
				}{"authority": {"ledger", ledger}, "distinguished name": {"by-name", ledger}, "self-signed": {"own", self}, "its successor": {"own", second}} {
					c := p.client(&who.certificate)
					token, code := p.token(c, mtlsHost, who.id)
					if token == "" {
						t.Errorf("%s: no token: %s\n%s", name, code, p.log)
						continue
					}
					if status := p.call(c, token); status != http.StatusOK {
						t.Errorf("%s: the call was answered %d\n%s", name, status, p.log)
					}
				}
			})
			t.Run("RFC 8705 section 3, stolen token", func(t *testing.T) {
				token, _ := p.token(p.client(&ledger), mtlsHost, "ledger")
				renewed := p.agents.agent(ledgerURI, nil)
				for name, c := range map[string]*http.Client{"no certificate": p.client(nil), "wrong thumbprint": p.client(&self), "same name, other certificate": p.client(&renewed)} {
					if status := p.call(c, token); status != http.StatusUnauthorized {
						t.Errorf("%s: the call was answered %d", name, status)
					}
				}
				if status := p.call(p.client(&ledger), token); status != http.StatusOK {
					t.Errorf("the token's own certificate: %d", status)
				}
			})
			t.Run("attacks at the token endpoint", func(t *testing.T) {
				below := newAuthority(t, "below", &authority{t, ledgerLeaf(t, ledger), ledger.PrivateKey.(crypto.Signer)})
				for name, who := range map[string]struct {
					id          string
					certificate *tls.Certificate
				}{
					"none":                            {"ledger", nil},
					"foreign authority, same name":    {"ledger", ref(stranger.agent(ledgerURI, nil))},
					"another agent of the authority":  {"ledger", ref(p.agents.agent("spiffe://example.org/ledger-x", nil))},
					"a part of the name":              {"ledger", ref(p.agents.agent("spiffe://example.org/ledger/x", nil))},
					"foreign trust domain":            {"ledger", ref(p.agents.agent("spiffe://example.org.evil/ledger", nil))},
					"two names":                       {"ledger", ref(p.agents.agent(ledgerURI, twoNames))},
					"expired":                         {"ledger", ref(p.agents.agent(ledgerURI, expired))},
					"not yet valid":                   {"ledger", ref(p.agents.agent(ledgerURI, early))},
					"for servers":                     {"ledger", ref(p.agents.agent(ledgerURI, serversOnly))},
					"signed by an agent":              {"ledger", ref(below.agent(ledgerURI, nil))},
					"another name in the dn":          {"by-name", ref(p.agents.agent("spiffe://example.org/x", otherName))},
					"authority's for self-signed":     {"own", &ledger},
					"not the registered self-signed":  {"own", ref(stranger.agent("spiffe://self.example/a", nil))},
					"self-signed for the authority's": {"ledger", &self},
					"for a client that there is not":  {"nobody", &ledger},
				} {
					if token, code := p.token(p.client(who.certificate), mtlsHost, who.id); token != "" || code != "invalid_client" {
						t.Errorf("%s: token %t, code %q", name, token != "", code)
					}
				}
			})
			t.Run("a secret beside it", func(t *testing.T) {
				resp, err := p.client(&ledger).PostForm(p.base(mtlsHost)+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"ledger"}, "client_secret": {"x"}, "resource": {p.base(mcpHost) + "/books"}})
				if err != nil {
					t.Fatal(err)
				}
				if token, code := answer(t, resp); token != "" || code != "invalid_client" {
					t.Errorf("code %q", code)
				}
			})
			if kind.header == "" {
				t.Run("browsers are not asked", func(t *testing.T) {
					if token, code := p.token(p.client(&ledger), loginHost, "ledger"); token != "" || code != "invalid_client" {
						t.Errorf("a certificate was taken at the address of the pages: %q", code)
					}
				})
			} else {
				p.strangers(t, kind.header, kind.form, ledger)
			}
			t.Run("metadata", func(t *testing.T) { p.metadata(t) })
			t.Run("gatehouse connect --mtls", func(t *testing.T) { p.connect(t, ledger) })
		})
	}
}

// The agents' certificates are X.509-SVIDs to SPIFFE's own library, or not, as
// they are here.
func TestCertificatesAreSVIDs(t *testing.T) {
	a := newAuthority(t, "agents", nil)
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString("example.org"), []*x509.Certificate{a.cert})
	for name, tt := range map[string]struct {
		certificate tls.Certificate
		want        bool
	}{
		"an agent":     {a.agent(ledgerURI, nil), true},
		"two names":    {a.agent(ledgerURI, twoNames), false},
		"expired":      {a.agent(ledgerURI, expired), false},
		"elsewhere":    {newAuthority(t, "elsewhere", nil).agent(ledgerURI, nil), false},
		"other domain": {a.agent("spiffe://example.net/ledger", nil), false},
	} {
		id, _, err := x509svid.ParseAndVerify(tt.certificate.Certificate, bundle)
		if (err == nil) != tt.want || tt.want && id.String() != ledgerURI {
			t.Errorf("%s: %s %v", name, id, err)
		}
	}
}

func ref(c tls.Certificate) *tls.Certificate { return &c }

func ledgerLeaf(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func twoNames(c *x509.Certificate) {
	c.URIs = append(c.URIs, &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/other"})
}
func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute)
}
func early(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
func serversOnly(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}
func otherName(c *x509.Certificate) { c.Subject.CommonName = "ledger2" }

// strangers send the header themselves: past the proxy from another address, and
// through it.
func (p *place) strangers(t *testing.T, header string, form func([]byte) string, ledger tls.Certificate) {
	ask := func(c *http.Client, base, host string, values ...string) (token, code string) {
		req, err := http.NewRequest(http.MethodPost, base+"/token", strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "client_id": {"ledger"}, "resource": {p.base(mcpHost) + "/books"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host + ":" + p.port()
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, value := range values {
			req.Header.Add(header, value)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return answer(t, resp)
	}
	from := func(address string) *http.Client {
		transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 20 * time.Second}
	}
	good := form(ledger.Certificate[0])
	t.Run("header from a stranger's address", func(t *testing.T) {
		if token, code := ask(from("127.0.0.2"), "http://"+p.upstream, mtlsHost, good); token != "" || code != "invalid_client" {
			t.Errorf("token %t, code %q", token != "", code)
		}
		if token, _ := ask(from("127.0.0.1"), "http://"+p.upstream, mtlsHost, good); token == "" { // or the test above shows nothing
			t.Error("the header means nothing from the proxy's address either")
		}
	})
	t.Run("header through the proxy", func(t *testing.T) {
		if token, code := ask(p.client(nil), p.base(mtlsHost), mtlsHost, good); token != "" || code != "invalid_client" {
			t.Errorf("token %t, code %q", token != "", code)
		}
	})
	t.Run("what is no certificate", func(t *testing.T) {
		for name, values := range map[string][]string{
			"two": {good, good}, "words": {"ledger"}, "half": {good[:len(good)/2]}, "more": {good + good}, "large": {good + strings.Repeat("A", 20<<10)}, "empty": {""},
		} {
			if token, code := ask(from("127.0.0.1"), "http://"+p.upstream, mtlsHost, values...); token != "" || code != "invalid_client" {
				t.Errorf("%s: token %t, code %q", name, token != "", code)
			}
		}
	})
}

// metadata is RFC 8705 §3.3 and §5, and RFC 9728 §2.
func (p *place) metadata(t *testing.T) {
	get := func(address string, into any) int {
		resp, err := p.client(nil).Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode
	}
	var server struct {
		Methods []string          `json:"token_endpoint_auth_methods_supported"`
		Bound   bool              `json:"tls_client_certificate_bound_access_tokens"`
		Aliases map[string]string `json:"mtls_endpoint_aliases"`
	}
	get(p.base(loginHost)+"/.well-known/oauth-authorization-server", &server)
	methods := strings.Join(server.Methods, " ")
	if !server.Bound || !strings.Contains(methods, " tls_client_auth") || !strings.Contains(methods, " self_signed_tls_client_auth") ||
		server.Aliases["token_endpoint"] != p.base(mtlsHost)+"/token" || server.Aliases["revocation_endpoint"] != p.base(mtlsHost)+"/revoke" || len(server.Aliases) != 3 {
		t.Errorf("%+v", server)
	}
	var resource struct {
		Bound bool `json:"tls_client_certificate_bound_access_tokens"`
	}
	get(p.base(mcpHost)+"/.well-known/oauth-protected-resource/books", &resource)
	if !resource.Bound {
		t.Error("the resource does not say that it takes bound tokens")
	}
	for _, page := range []string{"/authorize", "/login", "/account", "/"} {
		if status := get(p.base(mtlsHost)+page, nil); status != http.StatusNotFound {
			t.Errorf("%s is served where certificates are asked for: %d", page, status)
		}
	}
}

// connect runs the terminal client, with names that lead to this computer.
func (p *place) connect(t *testing.T, ledger tls.Certificate) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ledger.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p.write("ledger.pem", certificatePEM(ledger.Certificate[0]))
	p.write("ledger-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	forward := p.forward(t)
	cmd := exec.Command(binary, "connect", p.base(mcpHost)+"/books", "--client-id", "ledger", "--mtls", "ledger.pem,ledger-key.pem", "--ca", "servers-ca.pem", "--store", "tokens", "call", "list-books")
	cmd.Dir = p.folder
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+forward)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "books") {
		t.Errorf("%v\n%s\n%s", err, out, p.log)
	}
}

// forward is a web proxy (CONNECT) that stands in for name resolution.
func (p *place) forward(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		there, err := net.Dial("tcp", p.address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		// The client says nothing before this, so that nothing of it is in a buffer.
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		_, _ = io.Copy(here, there) // until one of them leaves
		_ = here.Close()
	}))
	t.Cleanup(s.Close)
	return s.URL
}
