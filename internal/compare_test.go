package internal_test

import (
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// secretName matches what is called like a secret. Hashes of generated values
// are none: see secret.Hash.
var secretName = regexp.MustCompile(`(?i)(secret|password|verifier|mac|signature|accesstoken|refreshtoken|state)$`)

// plainComparisons are those of something that has such a name and is no
// secret, or is one's own.
var plainComparisons = map[string]string{
	"internal/gateway/exchange.go: t.AccessToken == subject":              "both are here already; a server that gives back what it got is refused",
	"mcpclient/authorizer.go: current.AccessToken != refused.AccessToken": "both are this client's own",
	"mcpclient/token.go: stored.AccessToken != over.AccessToken":          "both are this client's own",
}

// Timing of secret comparison (proving.md): secrets are compared by
// secret.Equal, hmac.Equal or subtle, never by == or !=, which end at the first
// byte that differs. Comparing with nothing, or with a constant, tells no more
// than the program's text.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			b, ok := n.(*ast.BinaryExpr)
			if !ok || b.Op != token.EQL && b.Op != token.NEQ || constant(b.X) || constant(b.Y) {
				return true
			}
			x, y := expression(b.X), expression(b.Y)
			if !secretName.MatchString(x) && !secretName.MatchString(y) {
				return true
			}
			what := fmt.Sprintf("%s: %s %s %s", s.path, x, b.Op, y)
			used[what] = true
			if plainComparisons[what] == "" {
				t.Errorf("%s: compare it with secret.Equal, or say in plainComparisons why it is no secret", what)
			}
			return true
		})
	}
	for what := range plainComparisons {
		if !used[what] {
			t.Errorf("plainComparisons lists %q, which is not there any more", what)
		}
	}
}

// constant reports whether an expression is a literal, nil, or the name of a
// constant.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.SelectorExpr: // of a package, which the parser does not resolve
		x, ok := e.X.(*ast.Ident)
		return ok && x.Obj == nil
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false" || e.Obj != nil && e.Obj.Kind == ast.Con
	}
	return false
}

func expression(e ast.Expr) string {
	var b strings.Builder
	if err := printer.Fprint(&b, token.NewFileSet(), e); err != nil {
		return ""
	}
	return b.String()
}
