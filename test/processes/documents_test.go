package processes_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A document that goes live at the authorization server reaches a gateway that
// is a process of its own, without a restart; whoever is no gateway does not
// get it there.
func TestDocumentReachesAGatewayOfItsOwn(t *testing.T) {
	p := newPlace(t)
	p.configure("one", p.one, p.one, "gateway-1")
	p.start("one", "gateway")
	keys, err := os.ReadFile(filepath.Join(p.folder, "data-one", "gateway.jwks.json"))
	if err != nil || bytes.Contains(keys, []byte(`"d"`)) {
		t.Fatalf("%s %v", keys, err)
	}
	p.write("gateway-1.jwks.json", string(keys))
	p.configure("login", p.one, p.authServer, "unused", "gateway-1")
	p.run("migrate", "-c", "login.yaml")
	login := p.start("login", "authserver")
	found := clientLines.FindStringSubmatch(p.run("client", "add", "Nightly", "--secret", "--scope", "books:read", "-c", "login.yaml"))
	token := p.token(p.one, found[1], found[2])
	p.await("a call", func() bool { return works(p.call(p.one, token)) })

	login.end(syscall.SIGTERM)
	document := `{openapi: 3.1.0, info: {title: Bookshop, version: "2"}, paths: {/books: {get: {operationId: browse-books, responses: {"200": {description: ` + strings.Repeat("very ", 200_000) + `ok}}}}}}`
	p.write("openapi.yaml", document)
	p.start("login", "authserver")
	p.await("the new document at the gateway", func() bool {
		status, body := p.call(p.one, token)
		return status == http.StatusOK && strings.Contains(body, "-32602") // list-books is unknown now
	})
	p.await("a call of the new tool", func() bool {
		_, body := p.tool(p.one, token, "browse-books")
		return strings.Contains(body, `"books"`)
	})
	resp, err := http.PostForm("http://"+strings.Replace(p.authServer, "127.0.0.1", "localhost", 1)+"/document", map[string][]string{
		"resource": {"http://" + p.one + "/books"}, "client_id": {found[1]}, "client_secret": {found[2]},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an agent that asks for the document: %d", resp.StatusCode)
	}
}
