package mcpclient_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/mcpclient"
)

// R-CL-19: the token of a protected API goes nowhere but there and below,
// however an address is written.
func TestProtectedGoesNowhereElse(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	other := httptest.NewServer(server.Config.Handler)
	t.Cleanup(other.Close)
	c := &mcpclient.Client{}
	protected, err := c.Protected(t.Context(), server.URL+"/admin/api")
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := protected.Do(r)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	for _, good := range []string{"/admin/api", "/admin/api/", "/admin/api/people?x=1"} {
		if err := get(server.URL + good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		server.URL + "/", server.URL + "/admin", server.URL + "/admin/apis", server.URL + "/admin/api/../x", server.URL + "/admin/api/%2e%2e/x", server.URL + "/admin/api/%2E./x",
		other.URL + "/admin/api", strings.Replace(server.URL, "http:", "https:", 1) + "/admin/api",
	} {
		if err := get(bad); !errors.Is(err, mcpclient.ErrURL) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if len(asked) != 3 {
		t.Errorf("asked %v", asked)
	}
}
