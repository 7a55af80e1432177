package app_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

// Issue 5: paste a token, get a rule, in the console too. What is pasted is in no
// address, and what it holds cannot become markup.
func TestConsoleExplainsTokens(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	d.sees(d.get("/admin/trust"), 200, "demo-cluster", "kubernetes", "namespace = reports", "nightly-report")
	d.sees(d.get("/admin/agents/nightly-report"), 200, "what the platform that it runs on says of it", "region=Europe", "users:read orders:read")
	token, err := os.ReadFile(filepath.Join(d.config.Data, "workload", "token"))
	if err != nil {
		t.Fatal(err)
	}
	p := d.get("/admin/trust").Submit("Explain it", url.Values{"token": {string(token)}})
	d.sees(p, 200, "The pod nightly-report", "genuine: it is signed with a key of demo-cluster", "tokens of nightly-report", "service_account: \"nightly-report\"", "Every pod that runs as this service account")
	if strings.Contains(p.Body, string(token[:60])) || strings.Contains(p.URL.String(), "token") {
		t.Error("the page or its address holds the token")
	}
	d.sees(p.Submit("Explain it", url.Values{"token": {"gha_opaque"}}), 409, "three parts with dots between")
	// An issuer that nobody here knows is read at public addresses alone.
	const evil = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ." + // {"alg":"RS256","kid":"x"}
		"eyJpc3MiOiJodHRwczovLzEyNy4wLjAuMTo5Iiwic3ViIjoiPHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0PiIsImF1ZCI6IngiLCJleHAiOjQxMDI0NDQ4MDB9." + // iss https://127.0.0.1:9, sub <script>…
		"AAAA"
	p = p.Submit("Explain it", url.Values{"token": {evil}})
	d.sees(p, 200, "cannot be read from here", "good for")
	if strings.Contains(p.Body, "<script>") {
		t.Error("a claim has become markup")
	}
}
