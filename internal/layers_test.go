package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gatehouse/"

// floors are the layers of ARCHITECTURE.md: a package imports lower floors
// only, and never a package of its own floor. A new package gets its place here
// first.
var floors = map[string]int{
	"cmd/gatehouse": 6, "bench/ceiling": 6, "examples/nightly": 6,

	"internal/app": 5,

	"internal/authserver": 4, "internal/admin": 4, "internal/gateway": 4,
	"internal/sampleapi": 4, "internal/agent": 4, "internal/shell": 4,

	"internal/sqlstore": 3, "mcpclient": 3,

	"internal/account": 2, "internal/client": 2, "internal/grant": 2, "internal/catalog": 2, "internal/policy": 2,
	"internal/audit": 2, "internal/inspect": 2, "internal/trust": 2, "internal/approval": 2, "internal/resource": 2,

	"internal/oauth": 1, "internal/jose": 1, "internal/openapi": 1, "internal/egress": 1, "internal/httpserver": 1,
	"internal/page": 1, "internal/secret": 1, "internal/webtest": 1,
}

// thirdParty says which packages may import a module from elsewhere. What is
// not listed here is a new dependency: it needs a page in docs/decisions.
var thirdParty = map[string][]string{
	"github.com/modelcontextprotocol/go-sdk":   {"mcpclient", "internal/gateway", "internal/shell", "internal/agent"},
	"modernc.org/sqlite":                       {"internal/sqlstore", "bench/ceiling"},
	"github.com/jackc/pgx/v5":                  {"internal/sqlstore", "internal/webtest"},
	"github.com/pressly/goose/v3":              {"internal/sqlstore"},
	"github.com/go-jose/go-jose/v4":            {"internal/jose"},
	"go.yaml.in/yaml/v3":                       {"internal/app", "internal/openapi"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"internal/catalog"},
	"github.com/alecthomas/kong":               {"cmd/gatehouse"},
	"golang.org/x/crypto/argon2":               {"internal/secret"},
	"golang.org/x/net/http/httpguts":           {"internal/catalog"},
	"golang.org/x/net/html":                    {"internal/webtest", "internal/shell"},
	"golang.org/x/sync":                        {"internal/client", "internal/jose", "internal/resource", "internal/gateway"},
	"golang.org/x/sys/windows":                 {"mcpclient"},
	"golang.org/x/term":                        {"cmd/gatehouse", "internal/shell"},
	"golang.org/x/text":                        {"internal/account", "internal/sampleapi"},
	"golang.org/x/time/rate":                   {"internal/httpserver"},
}

const maxLines = 400 // of a file that is no test

// source is one file that is no test.
type source struct {
	path, pkg string // pkg is the folder
	syntax    *ast.File
	lines     int
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			path = spec.Path.Value
		}
		paths = append(paths, path)
	}
	return paths
}

// sources parses the module.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	root := os.DirFS("..")
	positions := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			hidden := path != "." && (name[0] == '.' || name[0] == '_')
			if hidden || name == "testdata" || name == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(positions, path, data, parser.ParseComments)
		if err != nil {
			return err
		}
		found = append(found, source{path, filepath.ToSlash(filepath.Dir(path)), syntax, strings.Count(string(data), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no source found; the test looks at the wrong folder")
	}
	return found
}

// TestPackagesImportOnlyLowerFloors enforces ARCHITECTURE.md.
func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	for _, s := range sources(t) {
		floor, known := floors[s.pkg]
		if !known {
			t.Errorf("%s: package %s has no floor; give it one in layers_test.go and ARCHITECTURE.md", s.path, s.pkg)
			continue
		}
		for _, path := range s.imports() {
			if imported, ours := strings.CutPrefix(path, module); ours {
				checkOwn(t, s, floor, imported)
			} else if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				checkThirdParty(t, s, path)
			}
		}
	}
}

func checkOwn(t *testing.T, s source, floor int, imported string) {
	t.Helper()
	switch below, known := floors[imported]; {
	case !known:
		t.Errorf("%s imports %s, which has no floor", s.path, imported)
	case imported == "internal/webtest":
		t.Errorf("%s imports webtest, which is for tests only", s.path)
	case below >= floor:
		t.Errorf("%s imports %s of floor %d; %s is on floor %d and may import lower ones only", s.path, imported, below, s.pkg, floor)
	case imported == "internal/sqlstore" && floor == 4:
		t.Errorf("%s imports sqlstore; a role gets its stores from app, by the interfaces of the domain", s.path)
	case s.pkg == "cmd/gatehouse" && imported != "internal/app" && imported != "internal/shell":
		t.Errorf("%s imports %s; cmd imports app and shell only", s.path, imported)
	}
}

func checkThirdParty(t *testing.T, s source, path string) {
	t.Helper()
	for wrapped, allowed := range thirdParty {
		if path == wrapped || strings.HasPrefix(path, wrapped+"/") {
			if !slices.Contains(allowed, s.pkg) {
				t.Errorf("%s imports %s, which is for %s only", s.path, path, strings.Join(allowed, ", "))
			}
			return
		}
	}
	t.Errorf("%s imports %s; a new dependency needs a page in docs/decisions and a line in layers_test.go", s.path, path)
}

// TestPackagesSayWhatTheyOwn wants a package comment for each package.
func TestPackagesSayWhatTheyOwn(t *testing.T) {
	comments := map[string]string{}
	for _, s := range sources(t) {
		comments[s.pkg] += s.syntax.Doc.Text()
	}
	for _, pkg := range slices.Sorted(maps.Keys(comments)) {
		name := pkg[strings.LastIndex(pkg, "/")+1:]
		comment := comments[pkg]
		if !strings.HasPrefix(comment, "Package "+name+" ") && !strings.HasPrefix(comment, "Command "+name+" ") {
			t.Errorf("package %s needs one comment that begins with its name and says what it owns and what not", pkg)
		}
	}
}

// TestFilesAreShort keeps every file that is no test readable in one go.
func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > maxLines {
			t.Errorf("%s has %d lines; split it by topic, %d are the most", s.path, s.lines, maxLines)
		}
	}
}
