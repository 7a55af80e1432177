package witness_test

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const librechatFolder = "../../deploy/librechat"

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(librechatFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// librechatYAML is what counts of librechat.yaml here.
type librechatYAML struct {
	Settings struct {
		Domains []string `yaml:"allowedDomains"`
	} `yaml:"mcpSettings"`
	Servers map[string]struct {
		Type, URL, Title string
		RequiresOAuth    bool   `yaml:"requiresOAuth"`
		Instructions     string `yaml:"serverInstructions"`
	} `yaml:"mcpServers"`
}

// The files in deploy/librechat hold what LibreChat needs of them, and agree
// with the addresses that docs/librechat.md starts the demo at.
func TestLibreChatConfiguration(t *testing.T) {
	for file, origins := range map[string][]string{
		"librechat.yaml":       {"http://mcp.example.com:8080", "http://login.example.com:8080"},
		"librechat.https.yaml": {"https://mcp.example.com:8443", "https://login.example.com:8443"},
	} {
		var c librechatYAML
		if err := yaml.Unmarshal([]byte(readFile(t, file)), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s, ok := c.Servers["customers"]
		if !ok || len(c.Servers) != 1 || s.Type != "streamable-http" || !s.RequiresOAuth || s.URL != origins[0] {
			t.Errorf("%s: %+v", file, c.Servers)
		}
		if !slices.Equal(c.Settings.Domains, origins) {
			t.Errorf("%s: allowedDomains is %q, want %q", file, c.Settings.Domains, origins)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9 ]+$`).MatchString(s.Title) || len(strings.Fields(s.Instructions)) < 10 {
			t.Errorf("%s: title %q, serverInstructions %q", file, s.Title, s.Instructions)
		}
	}
	plain := readFile(t, "librechat.yaml")
	swap := strings.NewReplacer("http://", "https://", ":8080", ":8443")
	_, body, _ := strings.Cut(plain, "\nversion:")
	_, other, _ := strings.Cut(readFile(t, "librechat.https.yaml"), "\nversion:")
	if swap.Replace(body) != other {
		t.Error("librechat.yaml and librechat.https.yaml differ in more than their addresses")
	}
}

// No secret is shipped: .env.example sets none, and compose.yaml refuses to start
// without them.
func TestLibreChatShipsNoSecrets(t *testing.T) {
	for _, name := range []string{"CREDS_KEY", "CREDS_IV", "JWT_SECRET", "JWT_REFRESH_SECRET", "MODEL_KEY"} {
		if regexp.MustCompile(`(?m)^` + name + `=.`).MatchString(readFile(t, ".env.example")) {
			t.Errorf(".env.example has a value for %s", name)
		}
		if name != "MODEL_KEY" && !strings.Contains(readFile(t, "compose.yaml"), name+": ${"+name+":?") {
			t.Errorf("compose.yaml starts without %s", name)
		}
	}
	if ignored, err := os.ReadFile("../../.gitignore"); err != nil || !strings.Contains(string(ignored), "/deploy/librechat/.env\n") {
		t.Errorf(".gitignore lets the secrets be committed: %v", err)
	}
}

// docker-compose reads both files, with the secrets made by the command that
// docs/librechat.md has, and they give LibreChat the environment it needs.
func TestLibreChatCompose(t *testing.T) {
	compose, err := exec.LookPath("docker-compose")
	if err != nil {
		lack(t, "docker-compose")
	}
	page, err := os.ReadFile("../../docs/librechat.md")
	if err != nil {
		t.Fatal(err)
	}
	making := regexp.MustCompile("(?s)```sh\n(cd deploy/librechat\n.*?)```").FindStringSubmatch(string(page))
	if making == nil {
		t.Fatal("docs/librechat.md has no command that makes the secrets")
	}
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "deploy/librechat"), os.DirFS(librechatFolder)); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "deploy/librechat")
	if out, err := inFolder(folder, compose, "-f", "compose.yaml", "config"); err == nil {
		t.Errorf("it starts without secrets: %s", out)
	}
	if out, err := inFolder(root, "sh", "-ec", making[1]); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if info, err := os.Stat(filepath.Join(folder, ".env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read .env: %v %v", info, err)
	}
	for scheme, args := range map[string][]string{
		"http":  {"-f", "compose.yaml", "config"},
		"https": {"-f", "compose.yaml", "-f", "compose.https.yaml", "config"},
	} {
		out, err := inFolder(folder, compose, args...)
		if err != nil {
			t.Errorf("%s: %v\n%s", scheme, err, out)
			continue
		}
		checkCompose(t, scheme, out)
	}
}

func inFolder(folder, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	return cmd.CombinedOutput()
}

func checkCompose(t *testing.T, scheme string, config []byte) {
	t.Helper()
	var c struct {
		Services map[string]struct {
			Environment map[string]string
			ExtraHosts  any `yaml:"extra_hosts"` // list or map, as Compose likes
			Ports       []string
			Volumes     []string
		}
	}
	if err := yaml.Unmarshal(config, &c); err != nil {
		t.Fatalf("%v in\n%s", err, config)
	}
	s := c.Services["librechat"]
	origin := scheme + "://agent.external.example"
	want := map[string]string{
		"DOMAIN_SERVER": origin, "DOMAIN_CLIENT": origin, "SEARCH": "false", "CONFIG_PATH": "/app/librechat.yaml",
		"SESSION_COOKIE_SECURE": map[string]string{"http": "false", "https": "true"}[scheme],
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if s.Environment[name] != want[name] {
			t.Errorf("%s: %s is %q, want %q", scheme, name, s.Environment[name], want[name])
		}
	}
	for name, digits := range map[string]int{"CREDS_KEY": 64, "CREDS_IV": 32, "JWT_SECRET": 64, "JWT_REFRESH_SECRET": 64} {
		if !regexp.MustCompile(`^[0-9a-f]+$`).MatchString(s.Environment[name]) || len(s.Environment[name]) != digits {
			t.Errorf("%s: %s has %d digits, want %d", scheme, name, len(s.Environment[name]), digits)
		}
	}
	if u, err := url.Parse(s.Environment["MONGO_URI"]); err != nil || u.Scheme != "mongodb" || c.Services[u.Hostname()].Volumes == nil {
		t.Errorf("%s: MONGO_URI is %q", scheme, s.Environment["MONGO_URI"])
	}
	for _, host := range []string{"mcp.example.com", "login.example.com"} {
		if !strings.Contains(fmt.Sprint(s.ExtraHosts), host+":host-gateway") {
			t.Errorf("%s: the container does not find %s: %v", scheme, host, s.ExtraHosts)
		}
	}
	for name, service := range c.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: %s is published to others: %s", scheme, name, port)
			}
		}
	}
	configured := map[string]string{"http": "/librechat.yaml:", "https": "/librechat.https.yaml:"}[scheme]
	if !slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.Contains(v, configured) }) {
		t.Errorf("%s: %q mounts no %s", scheme, s.Volumes, configured)
	}
}
