package resource_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/resource"
)

// RFC 6750 §2: only the Authorization header counts.
func TestBearer(t *testing.T) {
	for _, c := range []struct {
		name, target string
		headers      []string
		token        string
		err          error
	}{
		{"good", "/", []string{"Bearer gh_at_abc-._~+/=="}, "gh_at_abc-._~+/==", nil},
		{"scheme in another case", "/", []string{"bEaReR abc"}, "abc", nil},
		{"several spaces", "/", []string{"Bearer   abc"}, "abc", nil},
		{"nothing", "/", nil, "", resource.ErrNoToken},
		{"another scheme", "/", []string{"Basic abc"}, "", resource.ErrNoToken},
		{"scheme only", "/", []string{"Bearer"}, "", resource.ErrInvalid},
		{"empty token", "/", []string{"Bearer "}, "", resource.ErrInvalid},
		{"padding only", "/", []string{"Bearer =="}, "", resource.ErrInvalid},
		{"two tokens", "/", []string{"Bearer abc def"}, "", resource.ErrInvalid},
		{"comma list", "/", []string{"Bearer abc, Bearer def"}, "", resource.ErrInvalid},
		{"control character", "/", []string{"Bearer abc\x00"}, "", resource.ErrInvalid},
		{"too long", "/", []string{"Bearer " + strings.Repeat("a", 9000)}, "", resource.ErrInvalid},
		{"two headers", "/", []string{"Bearer abc", "Bearer def"}, "", resource.ErrMalformed},
		{"two equal headers", "/", []string{"Bearer abc", "Bearer abc"}, "", resource.ErrMalformed},
		{"query", "/?access_token=abc", nil, "", resource.ErrMalformed},
		{"query beside header", "/?access_token=abc", []string{"Bearer abc"}, "", resource.ErrMalformed},
		{"encoded query", "/?access%5Ftoken=abc", []string{"Bearer abc"}, "", resource.ErrMalformed},
		{"unrelated query", "/?my_access_token_id=1", []string{"Bearer abc"}, "abc", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", c.target, nil)
			r.Header["Authorization"] = c.headers
			token, err := resource.Bearer(r)
			if token != c.token || !errors.Is(err, c.err) {
				t.Errorf("Bearer = %q, %v; want %q, %v", token, err, c.token, c.err)
			}
		})
	}
}

// A token in a form body is not looked at, whatever the media type says.
func TestBearerIgnoresTheBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader("access_token=abc"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := resource.Bearer(r); !errors.Is(err, resource.ErrNoToken) {
		t.Errorf("Bearer: %v; want ErrNoToken", err)
	}
}
