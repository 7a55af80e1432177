package mcpclient_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/mcpclient"
)

// TestAsProcess is one of many processes when the test binary starts itself.
func TestAsProcess(t *testing.T) {
	folder, server := os.Getenv("MCPCLIENT_FOLDER"), os.Getenv("MCPCLIENT_SERVER")
	if folder == "" {
		t.Skip("it is started by TestProcessesRefreshOnce")
	}
	if err := call(t, &mcpclient.Client{Store: &mcpclient.Store{Folder: folder}}, server); err != nil {
		t.Fatal(err)
	}
}

// Fifty processes that share an ended token refresh it once, and none loses its
// session, with a server that ends a family at the second use: R-CL-20.
func TestProcessesRefreshOnce(t *testing.T) {
	s := newAuthServer(t)
	m := newResource(t, s)
	folder := t.TempDir()
	if err := call(t, &mcpclient.Client{Open: browser, Store: &mcpclient.Store{Folder: folder}}, m.URL); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	ended := regexp.MustCompile(`"expires_at": \d+`).ReplaceAll(text, []byte(`"expires_at": 1`))
	if err := os.WriteFile(files[0], ended, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	clear(s.valid)
	s.count["/token"] = 0
	s.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			p := exec.Command(self, "-test.run", "^TestAsProcess$", "-test.v")
			p.Env = append(os.Environ(), "MCPCLIENT_FOLDER="+folder, "MCPCLIENT_SERVER="+m.URL)
			if out, err := p.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestAsProcess") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if n := s.times("/token"); n != 1 {
		t.Errorf("%d requests reached the token endpoint, want 1", n)
	}
}
