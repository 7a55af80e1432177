package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// Limits of client ID metadata documents.
const (
	maxDocument      = 5 << 10 // bytes; §8.7 recommends it
	maxDocumentDepth = 8
	maxDocumentURL   = 512 // bytes: it is a client_id, in every record of it
)

// IsDocumentID reports whether a client_id is meant as the address of a
// metadata document (draft-ietf-oauth-client-id-metadata-document-02 §3; no
// client_id made here begins like that).
func IsDocumentID(id string) bool { return strings.HasPrefix(id, "https://") }

// CheckDocumentID says why an address cannot be a client_id, or nil: §3, and
// nothing that could be written, read or shown in two ways, since it is
// compared byte for byte and its host is what a person decides by.
func CheckDocumentID(id string) error {
	if len(id) > maxDocumentURL {
		return fmt.Errorf("it has more than %d bytes", maxDocumentURL)
	}
	u, err := url.Parse(id)
	if err != nil || !IsDocumentID(id) || u.Opaque != "" {
		return errors.New("it is no https URL")
	}
	switch {
	case strings.Contains(id, "#"):
		return errors.New("it has a fragment")
	case u.User != nil || strings.Contains(u.Host, "@"):
		return errors.New("it has a user name in it")
	case u.Path == "":
		return errors.New("it has no path")
	case u.String() != id || u.ForceQuery || strings.ContainsAny(id, "\\ *") || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("it has characters that need percent-encoding")
	case dotSegments(u.Path):
		return errors.New("it has dot segments in its path")
	case u.Port() == "443", strings.HasSuffix(u.Host, ":"), strings.HasPrefix(u.Port(), "0"):
		return errors.New("it writes its port in an unusual way; leave out :443")
	}
	return checkDocumentHost(u.Hostname())
}

// dotSegments looks at the decoded path: readers that follow the WHATWG URL
// standard take %2e for a dot. A second encoding is refused with it.
func dotSegments(path string) bool {
	return strings.Contains(path, "%") || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

// checkDocumentHost wants a host name as it is in DNS: lower case, IDN in their
// ASCII form (xn--…), so that no letter looks like another, and no address.
func checkDocumentHost(host string) error {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("its host must be a name in lower-case ASCII; write an international name as xn--…")
		}
	}
	// 127.1, 0x7f.1 and 2130706433 are addresses to some resolvers.
	if last := labels[len(labels)-1]; last[0] < 'a' {
		return errors.New("its host is an address; use a name")
	}
	return nil
}

// DocumentHost is the host that publishes a client's document, with its port
// if it has one: what of the client is verified. Empty for other clients.
func (c Client) DocumentHost() string {
	if c.Origin != Document {
		return ""
	}
	return RedirectHost(c.ID)
}

// OwnsRedirect reports whether an answer to this redirect URI goes by https to
// the host that publishes the client's document, so that nobody else gets it
// (security.md 1).
func (c Client) OwnsRedirect(redirectURI string) bool {
	host := c.DocumentHost()
	return host != "" && strings.HasPrefix(redirectURI, "https://") && RedirectHost(redirectURI) == host
}

// OnlyLoopback reports whether all answers go to the person's own computer,
// where any program may be waiting (R-AS-13).
func (c Client) OnlyLoopback() bool {
	return !slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return !IsLoopback(uri) })
}

// Fingerprint stands for what a person agrees to when they trust this client:
// name, redirects, and how it proves that it is itself. A consent holds for the
// fingerprint that it was given for (security.md 2 and 4). What a jwks_uri
// leads to is not in it: keys rotate, and who holds the address decides them.
func (c Client) Fingerprint() string {
	text, err := json.Marshal(append([]any{c.Name}, c.identity()...))
	if err != nil {
		return "" // strings always marshal
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SameParty reports whether c gets its answers where other does and proves
// itself as other does. If not, it is another client by the same ID, and what
// was allowed to the one was not allowed to it (security.md 2).
func (c Client) SameParty(other Client) bool {
	return reflect.DeepEqual(c.identity(), other.identity())
}

// identity is where a client gets its answers and how it proves itself.
func (c Client) identity() []any {
	var keys bytes.Buffer
	if json.Compact(&keys, c.Keys) != nil {
		keys.Reset() // there are none
	}
	return []any{slices.Sorted(slices.Values(c.RedirectURIs)), c.AuthMethod, keys.String(), c.KeysURI, string(c.SecretHash) + c.CertificateSubject}
}

// parseDocument makes a client of the document at id: R-AS-8, §4 and §4.1.
func parseDocument(id, contentType string, body []byte, rules Rules) (Client, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" && !(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")) {
		return Client{}, errors.New("it is not served as application/json")
	}
	m, err := oauth.Members(body, maxDocumentDepth)
	if err != nil {
		return Client{}, err
	}
	var itself, name string
	if json.Unmarshal(m["client_id"], &itself) != nil || itself != id {
		return Client{}, errors.New("its client_id is not the address that it was fetched from, character for character")
	}
	if json.Unmarshal(m["client_name"], &name) != nil || cleanName(name) == "" {
		return Client{}, errors.New("client_name is missing")
	}
	for _, forbidden := range []string{"client_secret", "client_secret_expires_at"} {
		if _, ok := m[forbidden]; ok {
			return Client{}, fmt.Errorf("it has %s, and what everybody can read is no secret", forbidden)
		}
	}
	rules.document = true
	c, err := FromMetadata(m, rules)
	if err != nil {
		return Client{}, err
	}
	if !c.MayUse(oauth.GrantAuthorizationCode) {
		return Client{}, errors.New("its grant_types leave out authorization_code")
	}
	if len(c.Keys) > 0 {
		if _, err := jose.ParseKeySet(c.Keys); err != nil {
			return Client{}, fmt.Errorf("jwks: %w", err)
		}
	}
	c.ID, c.Origin = id, Document
	return c, nil
}

// takeDocumentAuthMethod is takeAuthMethod for documents: no secret can be
// shared by one, so none is the default, and keys may stand at an address.
func (c *Client) takeDocumentAuthMethod(m map[string]json.RawMessage) error {
	switch c.AuthMethod {
	case "", oauth.AuthNone:
		c.AuthMethod = oauth.AuthNone
		return nil
	case oauth.AuthPrivateKey:
	default:
		return invalid("token_endpoint_auth_method of a document must be %s or %s", oauth.AuthNone, oauth.AuthPrivateKey)
	}
	c.Keys = m["jwks"]
	raw, byAddress := m["jwks_uri"]
	if byAddress == (len(c.Keys) > 0) {
		return invalid("private_key_jwt needs either jwks or jwks_uri")
	}
	if !byAddress {
		return nil
	}
	if err := json.Unmarshal(raw, &c.KeysURI); err != nil {
		return invalid("jwks_uri has the wrong type")
	}
	if err := CheckDocumentID(c.KeysURI); err != nil {
		return invalid("jwks_uri cannot be fetched: %v", err)
	}
	return nil
}

// usableRedirects leaves out what no answer is ever sent to. A document serves
// many servers, some of which know schemes that this one does not.
func usableRedirects(uris, plainHTTP []string) []string {
	kept := slices.DeleteFunc(slices.Clone(uris), func(uri string) bool { return CheckRedirect(uri, plainHTTP) != nil })
	if len(kept) == 0 {
		return uris // for the error that says what is wrong
	}
	return kept
}
