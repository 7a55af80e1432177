package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"gatehouse/internal/secret"
)

const callback = "http://127.0.0.1:1/callback" // never followed

// register registers a client that redirects to callback.
func register(ctx context.Context, c *http.Client, endpoint string) (string, error) {
	body := `{"client_name":"bench","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"],"application_type":"native"}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	answer, err := expect(resp, err, 201, "client_id")
	if err != nil {
		return "", err
	}
	var r struct {
		ID string `json:"client_id"`
	}
	err = json.Unmarshal(answer, &r)
	return r.ID, err
}

var (
	formAction = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"`)
	switches   = regexp.MustCompile(`<input[^>]*name="scope"[^>]*value="([^"]+)"[^>]*checked`)
)

// flow is a whole authorization code flow with PKCE of somebody who signs in and
// agrees, at either server, and the redemption of the code.
func flow(ctx context.Context, c *http.Client, authorize, token string, query url.Values) error {
	verifier := secret.New("")
	sum := sha256.Sum256([]byte(verifier))
	query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	query.Set("code_challenge_method", "S256")
	query.Set("response_type", "code")
	query.Set("redirect_uri", callback)
	query.Set("state", "s")
	code, err := walk(ctx, c, authorize+"?"+query.Encode())
	if err != nil {
		return err
	}
	resp, err := post(ctx, c, token, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {query.Get("client_id")}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {query.Get("resource")},
	})
	_, err = expect(resp, err, 200, "access_token")
	return err
}

// walk goes through the pages as a browser without scripts would.
func walk(ctx context.Context, c *http.Client, address string) (code string, err error) {
	cookies := map[string]string{}
	method, body := http.MethodGet, ""
	for range 16 {
		req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for name, value := range cookies {
			req.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		resp, err := c.Do(req)
		if err != nil {
			return "", err
		}
		page, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was read
		if err != nil {
			return "", err
		}
		for _, k := range resp.Cookies() {
			if cookies[k.Name] = k.Value; k.MaxAge < 0 || k.Value == "" {
				delete(cookies, k.Name)
			}
		}
		if to, err := resp.Location(); err == nil {
			if strings.HasPrefix(to.String(), callback) {
				if code = to.Query().Get("code"); code == "" {
					return "", fmt.Errorf("the answer is %s", to)
				}
				return code, nil
			}
			method, address, body = http.MethodGet, to.String(), ""
			continue
		}
		if address, body, err = fill(resp, string(page)); err != nil {
			return "", err
		}
		method = http.MethodPost
	}
	return "", errors.New("the pages go on without end")
}

// fill fills in the form of a page of either server.
func fill(resp *http.Response, page string) (address, body string, err error) {
	forms := strings.SplitAfter(page, "</form>")
	for _, form := range forms {
		found := formAction.FindStringSubmatch(form)
		if found == nil {
			continue
		}
		values := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(form, -1) {
			values.Set(m[1], html.UnescapeString(m[2]))
		}
		switch {
		case strings.Contains(form, `id="username"`):
			values.Set("username", "alice")
			values.Set("action", "signin")
		case strings.Contains(form, `value="allow"`):
			values.Set("action", "allow")
			for _, m := range switches.FindAllStringSubmatch(form, -1) {
				values.Add("scope", m[1])
			}
		case strings.Contains(form, `value="continue"`):
			values.Set("action", "continue")
		case strings.Contains(form, `name="login"`): // oidc-provider's
			values.Set("login", "alice")
			values.Set("password", "x")
		case values.Get("prompt") != "":
		default:
			continue
		}
		to, err := resp.Request.URL.Parse(html.UnescapeString(found[1]))
		if err != nil {
			return "", "", err
		}
		return to.String(), values.Encode(), nil
	}
	return "", "", fmt.Errorf("%s: %d, no form that is known: %.300s", resp.Request.URL.Path, resp.StatusCode, page)
}
