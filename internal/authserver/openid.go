package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/catalog"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
)

// Signing in by OpenID Connect (Core 1.0) is one more thing that a client may
// be allowed, at a resource that is this server itself: openid opens /userinfo,
// and adds an ID token to the answer for a code. It goes through the same
// request, consent and grant as everything else; such a token opens no API, and
// no API's token opens /userinfo.

const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"

	idTokenLifetime = 5 * time.Minute // it is read once, when it arrives
	maxNonce        = 512             // bytes
)

// newSignInAPI describes the sign-in like an API to the consent page.
func newSignInAPI(issuer, host string) *catalog.API {
	return &catalog.API{
		Name: "sign-in", Title: host, Resource: issuer, DefaultScopes: []string{scopeOpenID},
		Scopes: map[string]catalog.Scope{
			scopeOpenID:  {Name: scopeOpenID, Text: "recognise you when you come back"},
			scopeProfile: {Name: scopeProfile, Text: "know the name that you sign in with"},
		},
	}
}

// checkOpenID checks the parameters of OpenID Connect Core §3.1.2.1.
func checkOpenID(form url.Values) error {
	if len(form.Get("nonce")) > maxNonce {
		return oauth.NewError(oauth.InvalidRequest, "nonce has more than 512 bytes; send a shorter one")
	}
	if age := form.Get("max_age"); age != "" {
		if n, err := strconv.Atoi(age); err != nil || n < 0 {
			return oauth.NewError(oauth.InvalidRequest, "max_age must be a number of seconds")
		}
	}
	return nil
}

// tooOld reports whether a sign-in is older than max_age allows.
func tooOld(maxAge string, authTime int64, now time.Time) bool {
	n, err := strconv.ParseInt(maxAge, 10, 64)
	return err == nil && now.Unix()-authTime > n || maxAge == "0"
}

// idClaims are the claims of an ID token, OpenID Connect Core §2.
type idClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	ExpiresAt int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	AuthTime  int64    `json:"auth_time"`
	Nonce     string   `json:"nonce,omitempty"`
	AMR       []string `json:"amr,omitempty"` // RFC 8176; absent if nothing was proven
	TokenHash string   `json:"at_hash"`       // §3.1.3.6
}

// idToken tells a client who signed in for its code. Its typ keeps it from being
// taken for an access token.
func (s *Server) idToken(ctx context.Context, code grant.Code, g grant.Grant, accessToken string, now time.Time) (string, error) {
	sum := sha256.Sum256([]byte(accessToken))
	return s.Keys.Sign(ctx, jose.ES256, "JWT", idClaims{
		Issuer: s.Issuer, Subject: g.AccountID, Audience: g.ClientID, ExpiresAt: now.Add(idTokenLifetime).Unix(), IssuedAt: now.Unix(),
		AuthTime: code.AuthTime, Nonce: code.Nonce, AMR: code.AMR, TokenHash: base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]),
	})
}

// userinfo serves OpenID Connect Core §5.3.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	claims, err := s.claimsOfBearer(r)
	if err != nil {
		httpserver.Note(r.Context(), "refused", err.Error())
		s.refuseBearer(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(claims) // a failed write means the client is gone
}

func (s *Server) claimsOfBearer(r *http.Request) (map[string]string, error) {
	value, err := resource.Bearer(r)
	if err != nil {
		return nil, err
	}
	t, g, err := s.Grants.Token(r.Context(), secret.Sum(value), time.Now())
	if errors.Is(err, grant.ErrNotFound) || err == nil && g.Resource != s.Issuer {
		return nil, resource.ErrInvalid
	}
	if err != nil {
		return nil, err
	}
	var certificates httpserver.Certificates
	if s.MutualTLS != nil {
		certificates = s.MutualTLS.Certificates
	}
	if err := resource.CheckPossession(r, certificates, confirmation(t)); err != nil {
		return nil, err
	}
	scopes := grant.Effective(t, g)
	if !slices.Contains(scopes, scopeOpenID) {
		return nil, &resource.ScopeError{Needed: []string{scopeOpenID}}
	}
	acc, err := s.Accounts.Account(r.Context(), g.AccountID)
	if errors.Is(err, account.ErrNotFound) {
		return nil, resource.ErrInvalid
	}
	if err != nil {
		return nil, err
	}
	claims := map[string]string{"sub": acc.ID}
	if slices.Contains(scopes, scopeProfile) {
		claims["name"], claims["preferred_username"] = acc.Name, acc.Name
	}
	return claims, nil
}

// refuseBearer answers in RFC 6750 §3.
func (s *Server) refuseBearer(w http.ResponseWriter, err error) {
	c, status := oauth.Challenge{}, http.StatusUnauthorized
	var lacking *resource.ScopeError
	switch {
	case errors.Is(err, resource.ErrNoToken):
	case errors.Is(err, resource.ErrMalformed):
		c, status = oauth.Challenge{Error: oauth.InvalidRequest, Description: "send one access token, in the Authorization header"}, http.StatusBadRequest
	case errors.Is(err, resource.ErrInvalid):
		c = oauth.Challenge{Error: oauth.InvalidToken, Description: "the token is unknown, expired, ended or for something else; sign in again"}
	case errors.As(err, &lacking):
		c, status = oauth.Challenge{Error: oauth.InsufficientScope, Description: "openid was not allowed", Scope: lacking.Needed}, http.StatusForbidden
	default:
		oauth.WriteError(w, asOAuth(err), "")
		return
	}
	w.Header().Set("WWW-Authenticate", c.String())
	w.WriteHeader(status)
}
