package oauth

// ServerMetadata is the authorization server metadata document (RFC 8414 §2).
// Every member names the RFC that registered it where that is not 8414.
type ServerMetadata struct {
	Issuer                                     string               `json:"issuer"`
	AuthorizationEndpoint                      string               `json:"authorization_endpoint"`
	TokenEndpoint                              string               `json:"token_endpoint"`
	RegistrationEndpoint                       string               `json:"registration_endpoint,omitempty"` // RFC 7591
	IntrospectionEndpoint                      string               `json:"introspection_endpoint,omitempty"`
	IntrospectionSigningAlgValuesSupported     []string             `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
	RevocationEndpoint                         string               `json:"revocation_endpoint,omitempty"`                        // RFC 7009
	RevocationEndpointAuthMethodsSupported     []string             `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	UserinfoEndpoint                           string               `json:"userinfo_endpoint,omitempty"`    // OpenID Connect Discovery §3
	EndSessionEndpoint                         string               `json:"end_session_endpoint,omitempty"` // OpenID Connect RP-Initiated Logout §2.1
	ClaimsSupported                            []string             `json:"claims_supported,omitempty"`
	JWKSURI                                    string               `json:"jwks_uri"`
	ScopesSupported                            []string             `json:"scopes_supported,omitempty"`
	ResponseTypesSupported                     []string             `json:"response_types_supported"`
	ResponseModesSupported                     []string             `json:"response_modes_supported"`
	GrantTypesSupported                        []string             `json:"grant_types_supported"`
	TokenEndpointAuthMethodsSupported          []string             `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgValuesSupported []string             `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpointAuthMethodsSupported  []string             `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpointAuthSigningAlgs       []string             `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	CodeChallengeMethodsSupported              []string             `json:"code_challenge_methods_supported"`
	AuthorizationResponseIssParameterSupported bool                 `json:"authorization_response_iss_parameter_supported"`   // RFC 9207 §3
	AuthorizationGrantProfilesSupported        []string             `json:"authorization_grant_profiles_supported,omitempty"` // draft-ietf-oauth-identity-assertion-authz-grant §7
	ClientIDMetadataDocumentSupported          bool                 `json:"client_id_metadata_document_supported,omitempty"`  // draft-ietf-oauth-client-id-metadata-document-02 §6
	SubjectTypesSupported                      []string             `json:"subject_types_supported"`                          // OpenID Connect Discovery §3: required of its form
	IDTokenSigningAlgValuesSupported           []string             `json:"id_token_signing_alg_values_supported"`            // likewise
	RequestURIParameterSupported               bool                 `json:"request_uri_parameter_supported"`                  // OpenID Connect Discovery §3: absent would mean true
	ServiceDocumentation                       string               `json:"service_documentation,omitempty"`
	MTLSEndpointAliases                        *MTLSEndpointAliases `json:"mtls_endpoint_aliases,omitempty"`                      // RFC 8705 §5
	TLSClientCertificateBoundAccessTokens      bool                 `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.3
}

// MTLSEndpointAliases are where clients go that show a certificate (RFC 8705
// §5).
type MTLSEndpointAliases struct {
	TokenEndpoint         string `json:"token_endpoint,omitempty"`
	RevocationEndpoint    string `json:"revocation_endpoint,omitempty"`
	IntrospectionEndpoint string `json:"introspection_endpoint,omitempty"`
}
