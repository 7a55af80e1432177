package resource

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// maxAnswer bounds an answer of the authorization server, in bytes.
const maxAnswer = 512 << 10 // all that can be closed fits (grant.MaxClosedTools)

// AuthorizationServer is how a protected resource asks its authorization
// server something: as a client that authenticates with a key of its own
// (private_key_jwt, RFC 7523 §2.2); at one that is not Gatehouse's, with a secret
// if it takes no keys. It is safe for concurrent use.
type AuthorizationServer struct {
	Issuer   string
	ClientID string
	Signer   *jose.Signer
	Client   *http.Client // for configured peers; its redirects are not followed
	// Discovery is set for a server that is not Gatehouse's, and knows where its
	// endpoints are.
	Discovery *Discovery
	// Secret is what the client has in place of Signer.
	Secret string
}

// LogValue keeps the secret out of logs.
func (a *AuthorizationServer) LogValue() slog.Value { return slog.StringValue(a.Issuer) }

// Endpoint returns ours, or of a server that is not Gatehouse's the endpoint
// that of finds in its metadata.
func (a *AuthorizationServer) Endpoint(ctx context.Context, ours string, of func(oauth.ServerMetadata) string) (string, error) {
	if a.Discovery == nil {
		return ours, nil
	}
	m, err := a.Discovery.Metadata(ctx)
	if err != nil {
		return "", err
	}
	return of(m), nil
}

// Post sends form to one of the server's endpoints and returns status and
// body of the answer. Every request carries an assertion of its own, because
// its jti is good for one use (RFC 7523 §3); a signature is cheap beside the
// request.
//
// It gives up after timeout, however long ctx lasts. An error means that no
// usable answer came: the connection failed, or the answer is too large.
func (a *AuthorizationServer) Post(ctx context.Context, endpoint string, form url.Values, timeout time.Duration) (status int, body []byte, err error) {
	return a.PostFor(ctx, endpoint, form, timeout, maxAnswer)
}

// PostFor is Post for an answer of at most so many bytes.
func (a *AuthorizationServer) PostFor(ctx context.Context, endpoint string, form url.Values, timeout time.Duration, most int64) (status int, body []byte, err error) {
	form.Set("client_id", a.ClientID)
	if a.Signer == nil {
		return a.sendSecret(ctx, endpoint, form, timeout)
	}
	assertion, err := jose.Assertion(a.Signer, a.ClientID, a.Issuer, time.Now())
	if err != nil {
		return 0, nil, fmt.Errorf("sign the client assertion of %s: %w", a.ClientID, err)
	}
	form.Set("client_assertion_type", oauth.AssertionJWTBearer)
	form.Set("client_assertion", assertion)
	return a.send(ctx, endpoint, form, "", timeout, most)
}

// sendSecret authenticates by RFC 6749 §2.3.1: in the header, unless the server
// says that it takes secrets in the form alone.
func (a *AuthorizationServer) sendSecret(ctx context.Context, endpoint string, form url.Values, timeout time.Duration) (status int, body []byte, err error) {
	m, err := a.Discovery.Metadata(ctx)
	if err != nil {
		return 0, nil, err
	}
	if methods := m.TokenEndpointAuthMethodsSupported; len(methods) > 0 && !slices.Contains(methods, oauth.AuthBasic) {
		form.Set("client_secret", a.Secret)
		return a.send(ctx, endpoint, form, "", timeout, maxAnswer)
	}
	form.Del("client_id") // one way to say who asks
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(a.ClientID) + ":" + url.QueryEscape(a.Secret)))
	return a.send(ctx, endpoint, form, "Basic "+basic, timeout, maxAnswer)
}

// send is Post for a form that says who sends it, or with an Authorization header.
func (a *AuthorizationServer) send(ctx context.Context, endpoint string, form url.Values, authorization string, timeout time.Duration, most int64) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", endpoint, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client := *a.Client
	// A redirect would carry the token and the assertion to another address.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", endpoint, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", endpoint, err)
	}
	if int64(len(body)) > most {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", endpoint, errTooLarge)
	}
	return resp.StatusCode, body, nil
}

var errTooLarge = errors.New("it is too large for an answer of an authorization server")
