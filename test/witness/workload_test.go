package witness_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// unattended runs the TypeScript SDK v2's provider of a kind.
func unattended(t *testing.T, data, kind string, credentials map[string]any, args ...string) (regions []string) {
	t.Helper()
	text, err := json.Marshal(credentials)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS", string(text))
	p := script(t, data, "sdk-v2-unattended.mjs", append([]string{kind}, args...)...)
	var got struct {
		IsError    bool
		Structured struct{ Users []struct{ Region string } }
	}
	answer(t, p, &got)
	if got.IsError {
		t.Errorf("%s: %s", kind, p.text())
	}
	for _, u := range got.Structured.Users {
		regions = append(regions, u.Region)
	}
	return regions
}

// MCP extension oauth-client-credentials, by the TypeScript SDK v2's own
// providers: a key of each algorithm, and a secret.
func TestTypeScriptSDKv2Unattended(t *testing.T) {
	mcp, data := demo(t)
	db, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "gatehouse.db"), sqlstore.Options{NoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	add := func(c client.Client) {
		t.Helper()
		c.Origin, c.Name, c.Scope, c.Claims = client.Administrated, c.ID, "users:read", map[string]string{"region": "Europe"}
		c.GrantTypes = []string{oauth.GrantClientCredentials}
		if err := db.AddClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	value := secret.New("ghs_")
	add(client.Client{ID: "by-secret", AuthMethod: oauth.AuthBasic, SecretHash: secret.Sum(value)})
	login := strings.Replace(mcp, "mcp.", "login.", 1)
	if got := unattended(t, data, "secret", map[string]any{"clientId": "by-secret", "clientSecret": value, "expectedIssuer": login, "scope": "users:read"}, mcp, "fetch-users", `{"limit": 2}`); fmt.Sprint(got) != "[Europe Europe]" {
		t.Errorf("secret: %v", got)
	}
	for _, algorithm := range jose.Algorithms() {
		key, err := jose.Generate(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		private, err := key.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		id := "by-" + strings.ToLower(algorithm)
		add(client.Client{ID: id, AuthMethod: oauth.AuthPrivateKey, Keys: jose.PublicSet(key)})
		credentials := map[string]any{"clientId": id, "privateKey": json.RawMessage(private), "algorithm": algorithm, "expectedIssuer": login}
		if got := unattended(t, data, "key", credentials, mcp, "fetch-users", `{"limit": 2}`); fmt.Sprint(got) != "[Europe Europe]" {
			t.Errorf("%s: %v", algorithm, got)
		}
	}
}

// Issue 5: no shared secret of the workload's agent is in the demo's folder, nor
// in the memory of the job that runs there; what it has is a token for an hour.
func TestWorkloadHoldsNoSecret(t *testing.T) {
	mcp, data := demo(t)
	token := filepath.Join(data, "workload", "token")
	out, err := exec.Command(binary, "connect", "--store", t.TempDir(), "--workload-token", token, mcp, "call", "fetch-users", "limit=3", "--json").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("Europe")) {
		t.Fatalf("connect: %v\n%s", err, out)
	}
	refused := exec.Command(binary, "connect", "--store", t.TempDir(), "--workload-token", token, mcp, "call", "refund-order", `{"id":1007}`)
	if out, err := refused.CombinedOutput(); err == nil || refused.ProcessState.ExitCode() != 3 || !bytes.Contains(out, []byte("administrator can give it more")) {
		t.Errorf("a refund: %v\n%s", err, out)
	}
	nightly := filepath.Join(t.TempDir(), "nightly")
	if out, err := exec.Command("go", "build", "-o", nightly, "gatehouse/examples/nightly").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(nightly, "-server", mcp, "-token", token, "-every", "100ms")
	p := start(t, "nightly", cmd)
	p.wait(`\d+ customers\n\d+ customers`, 0)
	held := memory(t, cmd.Process.Pid)
	assertion, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(held, []byte("gha_")) {
		t.Error("the scan does not find the access token, so it would find nothing")
	}
	files := contents(t, data)
	for _, sign := range []string{"ghs_", "client_secret", "PRIVATE KEY", `"d":"`} {
		if bytes.Contains(held, []byte(sign)) && sign != "client_secret" && sign != "PRIVATE KEY" { // words of the program itself
			t.Errorf("the job's memory holds %s", sign)
		}
	}
	for name, text := range files {
		if bytes.Contains(text, []byte("ghs_")) {
			t.Errorf("%s holds a client secret", name)
		}
		// The platform's token is where the platform puts it, and nowhere else.
		if signature := assertion[bytes.LastIndexByte(assertion, '.'):]; name != "workload/token" && bytes.Contains(text, signature) {
			t.Errorf("%s holds the workload's token", name)
		}
	}
	db, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "gatehouse.db"), sqlstore.Options{NoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if c, err := db.Client(t.Context(), "nightly-report"); err != nil || c.SecretHash != "" || c.Keys != nil {
		t.Errorf("%+v %v", c, err)
	}
}

// memory reads what a child process can write to.
func memory(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		lack(t, "/proc")
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 256<<20 {
			continue
		}
		part := make([]byte, to-from)
		n, err := io.ReadFull(io.NewSectionReader(mem, from, to-from), part)
		if err == nil || n > 0 {
			all = append(all, part[:n]...)
		}
	}
	return all
}

// contents reads every file below a folder.
func contents(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) { // a database's side file
			return nil
		}
		name, _ := filepath.Rel(folder, path)
		files[filepath.ToSlash(name)] = text
		return err
	})
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}
