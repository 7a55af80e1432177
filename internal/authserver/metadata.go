package authserver

import (
	"encoding/json"
	"net/http"
	"slices"

	"gatehouse/internal/catalog"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/trust"
)

// metadata returns a handler that serves the document of RFC 8414 §2, made once.
func (s *Server) metadata() func(http.ResponseWriter, *http.Request) {
	algorithms := jose.Algorithms()
	methods := []string{oauth.AuthBasic, oauth.AuthPost, oauth.AuthNone, oauth.AuthPrivateKey}
	var aliases *oauth.MTLSEndpointAliases
	if s.MutualTLS != nil {
		if s.MutualTLS.Authorities != nil {
			methods = append(methods, oauth.AuthTLS)
		}
		methods = append(methods, oauth.AuthSelfSignedTLS)
		at := s.MutualTLS.URL
		aliases = &oauth.MTLSEndpointAliases{TokenEndpoint: at + "/token", RevocationEndpoint: at + "/revoke", IntrospectionEndpoint: at + "/introspect"}
	}
	body, err := json.Marshal(oauth.ServerMetadata{
		Issuer:                                     s.Issuer, // R-AS-3: byte for byte
		AuthorizationEndpoint:                      s.Issuer + "/authorize",
		TokenEndpoint:                              s.Issuer + "/token",
		RegistrationEndpoint:                       s.Issuer + "/register",
		IntrospectionEndpoint:                      s.Issuer + "/introspect",
		IntrospectionSigningAlgValuesSupported:     []string{"ES256"},
		RevocationEndpoint:                         s.Issuer + "/revoke",
		RevocationEndpointAuthMethodsSupported:     methods,
		UserinfoEndpoint:                           s.Issuer + "/userinfo",
		EndSessionEndpoint:                         s.Issuer + "/logout",
		ClaimsSupported:                            []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "amr", "nonce", "at_hash", "name", "preferred_username"},
		JWKSURI:                                    s.Issuer + "/jwks.json",
		ScopesSupported:                            s.scopesSupported(),
		ResponseTypesSupported:                     []string{"code"},
		ResponseModesSupported:                     []string{"query"},
		GrantTypesSupported:                        s.grantTypes(),
		AuthorizationGrantProfilesSupported:        s.grantProfiles(),
		TokenEndpointAuthMethodsSupported:          methods,
		TokenEndpointAuthSigningAlgValuesSupported: algorithms,
		IntrospectionEndpointAuthMethodsSupported:  []string{oauth.AuthPrivateKey},
		IntrospectionEndpointAuthSigningAlgs:       algorithms,
		CodeChallengeMethodsSupported:              []string{oauth.MethodS256}, // R-AS-4
		AuthorizationResponseIssParameterSupported: true,                       // R-AS-16
		ClientIDMetadataDocumentSupported:          s.documents != nil,         // R-AS-5; clients look for none above too
		SubjectTypesSupported:                      []string{"public"},
		IDTokenSigningAlgValuesSupported:           []string{"ES256"},
		MTLSEndpointAliases:                        aliases,
		TLSClientCertificateBoundAccessTokens:      aliases != nil,
	})
	if err != nil {
		body = nil // strings and lists of them always marshal
	}
	return func(w http.ResponseWriter, r *http.Request) {
		d := inspect.Of(r.Context())
		d.Is(inspect.ServerMetadata, r.URL.Path)
		d.Answer("issuer", s.Issuer)
		d.Answer("code_challenge_methods_supported", oauth.MethodS256)
		writeStatic(w, body)
	}
}

// grantTypes are those of the token endpoint; assertions are taken where somebody
// is trusted to make them.
func (s *Server) grantTypes() []string {
	types := []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange}
	if len(s.Trust.Issuers()) > 0 {
		types = append(types, oauth.GrantJWTBearer)
	}
	return types
}

// grantProfiles are those of assertions that are for people (R-AS-EMA).
func (s *Server) grantProfiles() []string {
	if slices.ContainsFunc(s.Trust.Issuers(), func(i trust.Issuer) bool { return i.Kind.ForPeople() }) {
		return []string{oauth.GrantProfileIDJAG}
	}
	return nil
}

// scopesSupported are the scopes of every API and of the sign-in, in order.
func (s *Server) scopesSupported() []string {
	all := append(s.apiScopes(), scopeOpenID, scopeProfile)
	slices.Sort(all)
	return slices.Compact(all)
}

// ordinaryAPIs are those that an agent may mean which asks for everything there
// is: all but the administration.
func (s *Server) ordinaryAPIs() []*catalog.API {
	return slices.DeleteFunc(slices.Clone(s.APIs), func(a *catalog.API) bool { return a.Administration })
}

// apiScopes are the scopes of every ordinary API, once and in order.
func (s *Server) apiScopes() []string {
	var all []string
	for _, a := range s.ordinaryAPIs() {
		for name := range a.Scopes {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// keySet serves the public keys that verify what this server signs (RFC 7517).
func (s *Server) keySet(w http.ResponseWriter, r *http.Request) {
	set, err := s.Keys.Set(r.Context())
	if err != nil {
		httpserver.Note(r.Context(), "refused", err.Error())
		oauth.WriteError(w, asOAuth(err), "")
		return
	}
	writeStatic(w, set)
}

func writeStatic(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(body) // a failed write means the client is gone
}
