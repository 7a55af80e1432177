package oauth

import "strings"

// ResourceMetadata is the protected resource metadata document (RFC 9728 §2).
type ResourceMetadata struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
	ResourceName           string   `json:"resource_name,omitempty"`
	ResourceDocumentation  string   `json:"resource_documentation,omitempty"`
	// TLSClientCertificateBoundAccessTokens: tokens that are bound to a certificate
	// are taken here, with it.
	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// WellKnown returns the URL path of the metadata named suffix for something
// at path, by insertion (RFC 8414 §3.1, RFC 9728 §3.1): the well-known part
// goes between host and path, and a path of "/" counts as none.
func WellKnown(suffix, path string) string {
	return "/.well-known/" + suffix + strings.TrimSuffix(path, "/")
}
