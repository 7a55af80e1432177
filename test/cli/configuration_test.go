package cli_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	configurationPage = "../../docs/configuration.md"
	settingsText      = "../../internal/app/settings.txt"
)

// configurationSources have the structs of the file, Config in the first.
var configurationSources = []string{"../../internal/app/config.go", "../../internal/app/trust.go", "../../internal/app/mutualtls.go", "../../internal/app/delegation.go", "../../internal/app/partners.go"}

// Some keys exclude each other, so several examples together have them all.
var configurationSamples = []struct{ file, title string }{
	{"testdata/every-key.yaml", "A file with every key but those below"},
	{"testdata/external.yaml", "An identity provider instead of our own authorization server; client_secret in place of key where it takes no keys"},
	{"testdata/processes.yaml", "One file for several processes, as that of a gateway; see processes.md"},
	{"testdata/development.yaml", "Development on a network without certificates"},
}

// docs/configuration.md, and the console's settings, say what the structs of internal/app say.
func TestConfigurationPageIsCurrent(t *testing.T) {
	page, settings := configuration(t)
	for file, want := range map[string]string{configurationPage: page, settingsText: settings} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is stale; run go test ./test/cli -run Configuration -update and review the difference", file)
		}
	}
}

// The examples of that page are valid and leave nothing out.
func TestConfigurationExamplesHaveEveryKey(t *testing.T) {
	set := map[string]bool{}
	for _, sample := range configurationSamples {
		dir := t.TempDir()
		for from, to := range map[string]string{sample.file: "gatehouse.yaml", "testdata/books.yaml": "books.yaml"} {
			data, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, to), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		config, err := app.Load(filepath.Join(dir, "gatehouse.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.Catalog(&config); err != nil {
			t.Error(err)
		}
		mark(set, "", reflect.ValueOf(config))
	}
	for key, is := range set {
		if !is && key != "authorization_server.client_secret" { // instead of key
			t.Errorf("no example has %s", key)
		}
	}
}

// mark notes the keys below path, and whether they are set.
func mark(set map[string]bool, path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if key == "" {
			continue // no key of the file
		}
		field := v.Field(i)
		set[path+key] = set[path+key] || !field.IsZero()
		if field.IsZero() {
			continue
		}
		switch {
		case field.Kind() == reflect.Struct, field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct:
			mark(set, path+key+".", field)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for i := range field.Len() {
				mark(set, path+key+"[].", field.Index(i))
			}
		}
	}
}

// configuration writes the page, and the lines for the console.
func configuration(t *testing.T) (page, settings string) {
	t.Helper()
	p := &keyPage{t: t, structs: map[string]*ast.StructType{}}
	var about string
	for _, source := range configurationSources {
		if doc := p.read(source); doc != "" {
			about = doc
		}
	}
	p.rows("", "Config")
	var samples strings.Builder
	for _, sample := range configurationSamples {
		text, err := os.ReadFile(sample.file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&samples, "\n%s:\n\n```yaml\n%s```\n", sample.title, text)
	}
	return "# Configuration\n\n" +
		"<!-- Written by go test ./test/cli -run Configuration -update, from the structs of internal/app. -->\n\n" +
		strings.Replace(about, "Config is", "`gatehouse serve -c FILE` reads", 1) + "\n\n" +
		"`gatehouse config check` tells every problem of a file. [quickstart.md](quickstart.md) has a short one to begin with.\n\n" +
		"| key | form | meaning |\n|---|---|---|\n" + p.table.String() + samples.String(), p.lines.String()
}

type keyPage struct {
	t       *testing.T
	structs map[string]*ast.StructType
	table   strings.Builder
	lines   strings.Builder
}

// read takes the structs of a source, and returns what it says of Config.
func (p *keyPage) read(source string) (about string) {
	p.t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			named, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := named.Type.(*ast.StructType); ok {
				p.structs[named.Name.Name] = s
			}
			if named.Name.Name == "Config" {
				about = sentences(group.Doc)
			}
		}
	}
	return about
}

// rows writes a row for each key of a struct, and those below it.
func (p *keyPage) rows(prefix, name string) {
	p.t.Helper()
	for _, f := range p.structs[name].Fields.List {
		if f.Tag == nil {
			continue // no key of the file
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			p.t.Fatal(err)
		}
		key := reflect.StructTag(tag).Get("yaml")
		meaning := sentences(f.Doc)
		goName := f.Names[0].Name
		if !strings.HasPrefix(meaning, goName+" ") {
			p.t.Errorf("the comment of %s.%s must begin with its name", name, goName)
		}
		meaning = strings.TrimPrefix(meaning, goName+" ")
		meaning = strings.TrimPrefix(strings.TrimPrefix(meaning, "is "), "are ")
		meaning = strings.ToUpper(meaning[:1]) + meaning[1:]
		form, below, path := p.form(f.Type, prefix+key)
		fmt.Fprintf(&p.table, "| `%s` | %s | %s |\n", prefix+key, form, strings.ReplaceAll(meaning, "|", "\\|"))
		fmt.Fprintf(&p.lines, "%s\t%s\n", prefix+key, strings.ReplaceAll(meaning, "`", ""))
		if below != "" {
			p.rows(path+".", below)
		}
	}
}

// form says how a value is written, and which struct has the keys below it at
// which path.
func (p *keyPage) form(e ast.Expr, path string) (form, below, belowPath string) {
	p.t.Helper()
	switch e := e.(type) {
	case *ast.StarExpr:
		return p.form(e.X, path)
	case *ast.Ident:
		if _, ok := p.structs[e.Name]; ok {
			return "keys", e.Name, path
		}
		if forms := map[string]string{"string": "text", "bool": "true or false", "int": "number"}; forms[e.Name] != "" {
			return forms[e.Name], "", ""
		}
	case *ast.ArrayType:
		_, below, belowPath = p.form(e.Elt, path+"[]")
		return "list", below, belowPath
	case *ast.MapType:
		form, below, belowPath = p.form(e.Value, path+".NAME")
		if below == "" {
			return "names with a " + form, "", ""
		}
		return "names with keys", below, belowPath
	}
	p.t.Fatalf("%s has a form that this test cannot word; teach it", path)
	return "", "", ""
}

var plainURL = regexp.MustCompile(`https?://[^\s,;()]*[^\s,;().]|sqlite:PATH|postgres://\S+[^\s,.]|(?:env|file):[A-Z]+`)

// sentences returns a comment as one paragraph, with what is to be typed in
// code.
func sentences(c *ast.CommentGroup) string {
	text := strings.Join(strings.Fields(c.Text()), " ")
	text = strings.NewReplacer("`", "").Replace(text)
	return plainURL.ReplaceAllString(text, "`$0`")
}
