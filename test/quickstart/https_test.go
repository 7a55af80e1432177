package quickstart_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/webtest"
)

// The last section: the same on https, both ways. The names resolve nowhere but
// for people and agents, so the gateway must find its authorization server by
// itself.
func TestQuickstartOnHTTPS(t *testing.T) {
	for name, behindProxy := range map[string]bool{"tls": false, "proxy": true} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t)
			seen := make(chan string, 10)
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				seen <- req.Header.Get("Authorization")
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"books":[]}`)
			}))
			t.Cleanup(api.Close)
			certificate := writeCertificate(t, r.dir, "login.example.com", "mcp.example.com")
			r.configureHTTPS(api.URL, behindProxy)
			r.run("gatehouse config check && gatehouse migrate && gatehouse person add alice --claim branch=Lisbon")
			r.start("bash", "-c", "SSL_CERT_FILE=chain.pem exec gatehouse serve").wait("gatehouse serves")
			front := "127.0.0.1:" + r.port
			if behindProxy {
				front = proxy(t, certificate, front)
			}
			client := namesLeadTo(t, front, filepath.Join(r.dir, "chain.pem")).connect("https://mcp.example.com/bookshop", "alice", "")
			if got := client.call("list-books", `{}`); got.IsError {
				t.Fatalf("%+v", got)
			}
			var claims struct{ Iss, Branch string }
			if err := json.Unmarshal(decode(t, strings.Split(<-seen, ".")[1]), &claims); err != nil || claims.Iss != "https://login.example.com" || claims.Branch != "Lisbon" {
				t.Errorf("claims %+v, %v", claims, err)
			}
		})
	}
}

// configureHTTPS changes what the section says changes.
func (r *reader) configureHTTPS(api string, behindProxy bool) {
	r.t.Helper()
	document := read(r.t, "../../docs/quickstart.md")
	block := func(after string) string {
		_, text, _ := strings.Cut(document, after)
		_, text, _ = strings.Cut(text, "```yaml\n")
		text, _, _ = strings.Cut(text, "```")
		return text
	}
	config := block("## 2.")
	before, rest, _ := strings.Cut(config, "urls:\n")
	_, rest, _ = strings.Cut(rest, "\nlisten:")
	config = before + block("## On https") + "listen:" + rest
	if !behindProxy {
		config += "tls: {certificate: chain.pem, key: key.pem}\n"
	}
	r.write("gatehouse.yaml", strings.NewReplacer("http://127.0.0.1:9000", api, "8080", r.port).Replace(config))
}

// proxy ends TLS in front of address as the quickstart demands: Host stays.
func proxy(t *testing.T, certificate tls.Certificate, address string) string {
	t.Helper()
	p := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
	p.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p.Listener.Addr().String()
}

// namesLeadTo is the web of somebody whose name server knows only one address.
func namesLeadTo(t *testing.T, address, trust string) *web {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(t, trust))) {
		t.Fatal("the certificate cannot be read")
	}
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &web{t, &http.Client{Transport: transport}, func() *webtest.Browser {
		b := webtest.NewBrowser(t, dial)
		b.Trust(trust)
		return b
	}}
}

// writeCertificate makes chain.pem and key.pem, valid for the names.
func writeCertificate(t *testing.T, folder string, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, dir: folder}
	r.write("chain.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})))
	r.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}
}
