package admin

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// NewAgent is a client that an administrator adds. At most one of Public,
// Secret, Workload, Keys, KeysURL, Certificates and CertificateSubject says how it proves who it is.
type NewAgent struct {
	ID           string // that rules and people name it by; empty: one is made up
	Name         string
	RedirectURIs []string          // for agents that people use
	Scopes       []string          // for agents that act for themselves
	Claims       map[string]string // that APIs may be told where it acts for itself
	Public       bool              // it cannot prove anything
	Secret       bool              // a shared secret, for what takes no key
	IDJAG        bool              // an identity provider may speak for people through it (trust)
	Workload     bool              // the platform that it runs on vouches for it (trust)
	Keys         []byte            // its public keys: a JWK set, a JWK, or PEM
	KeysURL      string            // where it publishes them, as a JWK set
	Certificates []byte            // its own, PEM, whoever signed them: it shows one in TLS
	// CertificateSubject is whose certificate of an authority that is believed it
	// shows in TLS; see client.CheckCertificateSubject.
	CertificateSubject string
}

var clientID = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,62}$`)

// credential makes c authenticate as n says, and returns the secret if there is
// one.
func (n NewAgent) credential(a *Acts, c *client.Client) (value string, err error) {
	ways := 0
	for _, set := range []bool{n.Public, n.Secret, n.Workload, n.Keys != nil, n.KeysURL != "", n.Certificates != nil, n.CertificateSubject != ""} {
		if set {
			ways++
		}
	}
	itself := len(n.Scopes) > 0
	switch {
	case ways > 1:
		return "", refuse("name one way only by which the client proves who it is")
	case (n.Certificates != nil || n.CertificateSubject != "") && !a.MutualTLS:
		return "", refuse("no agent can show a certificate here; write mutual_tls into the configuration first")
	case n.Public && itself:
		return "", refuse("a public client cannot act for itself; give it a way to prove who it is, or no scopes")
	case itself && ways == 0:
		return "", refuse("say how the client proves who it is: by a key of its own, by the platform that it runs on, or by a secret if it can do nothing better")
	case n.Workload && len(n.RedirectURIs) > 0:
		return "", refuse("a workload has no credential for what people allow it; add another client for that, or give it a key")
	case n.Workload && !itself:
		return "", refuse("a workload acts for itself; name what it may do")
	case n.Public:
		c.AuthMethod = oauth.AuthNone
	case n.Workload:
		c.AuthMethod, c.GrantTypes = client.AuthWorkload, append(c.GrantTypes, oauth.GrantJWTBearer)
	case n.Keys != nil:
		c.AuthMethod = oauth.AuthPrivateKey
		if c.Keys, err = jose.ReadPublicSet(n.Keys); err != nil {
			err = refuse("the public key cannot be used: %s", strings.TrimPrefix(err.Error(), "read public keys: "))
		}
	case n.Certificates != nil:
		c.AuthMethod = oauth.AuthSelfSignedTLS
		if c.Keys, err = jose.ReadCertificates(n.Certificates); err != nil {
			err = refuse("the certificate cannot be used: %s", strings.TrimPrefix(err.Error(), "read certificates: "))
		}
	case n.CertificateSubject != "":
		c.AuthMethod, c.CertificateSubject = oauth.AuthTLS, n.CertificateSubject
		if err = client.CheckCertificateSubject(n.CertificateSubject); err != nil {
			err = refuse("%v", err)
		}
	case n.KeysURL != "":
		c.AuthMethod, c.KeysURI = oauth.AuthPrivateKey, n.KeysURL
		if a.NoDocuments {
			return "", refuse("keys at an address are fetched as documents are, and documents.accept is none; give the key itself, or accept documents")
		}
		if err = client.CheckDocumentID(n.KeysURL); err != nil {
			err = refuse("the address of the keys cannot be used: %v", err)
		}
	default:
		value, c.AuthMethod = secret.New("ghs_"), oauth.AuthBasic
		c.SecretHash = secret.Sum(value)
	}
	return value, err
}

// AddedAgent is a client that was added, with its secret if it has one, which is
// shown once and stored only as a hash.
type AddedAgent struct {
	ID, Name, Secret string
	Entry            string // in the audit
}

// LogValue keeps the secret out of logs.
func (AddedAgent) LogValue() slog.Value { return slog.StringValue("redacted") }

// AddAgent adds a client that the administrator vouches for.
func (a *Acts) AddAgent(ctx context.Context, by Actor, n NewAgent) (AddedAgent, error) {
	c, value, err := n.client(a)
	if err != nil {
		return AddedAgent{}, err
	}
	entry, err := a.record(ctx, by, "client added", "", audit.Entry{ClientID: c.ID, Detail: map[string]string{"client_name": c.Name, "scope": c.Scope, "token_endpoint_auth_method": c.AuthMethod}}, func() error {
		err := a.Clients.AddClient(ctx, c)
		if errors.Is(err, client.ErrExists) {
			err = refuse("%v", client.ErrExists)
		}
		return err
	})
	return AddedAgent{c.ID, c.Name, value, entry}, err
}

// client checks what is wanted, and makes a client of it.
func (n NewAgent) client(a *Acts) (c client.Client, value string, err error) {
	c = client.Client{
		ID: n.ID, Origin: client.Administrated, Name: n.Name, RedirectURIs: n.RedirectURIs, Claims: n.Claims,
		Scope: oauth.FormatScope(n.Scopes), CreatedAt: time.Now().Unix(), ApplicationType: "web",
	}
	if c.ID == "" {
		c.ID = secret.ID()
	} else if !clientID.MatchString(c.ID) {
		return c, "", refuse("%.100q is no ID: lower-case letters, digits, dots, hyphens and underscores, beginning with a letter", c.ID)
	}
	if strings.TrimSpace(n.Name) == "" {
		return c, "", refuse("the client has no name; give it one that people recognise")
	}
	for _, s := range n.Scopes {
		if !oauth.ValidScopeToken(s) {
			return c, "", refuse("%q is no scope; name one that `gatehouse tools` shows, such as orders:read", s)
		}
	}
	for _, uri := range n.RedirectURIs {
		if err := client.CheckRedirect(uri, a.PlainHTTP); err != nil {
			return c, "", refuse("redirect URI %s: %v", uri, err)
		}
		if client.IsLoopback(uri) {
			c.ApplicationType = "native"
		}
	}
	if err := account.CheckClaims(n.Claims); err != nil {
		return c, "", refuse("these are %v", err)
	}
	if len(n.RedirectURIs) > 0 {
		c.GrantTypes, c.ResponseTypes = append(c.GrantTypes, oauth.GrantAuthorizationCode, oauth.GrantRefreshToken), []string{"code"}
	}
	if len(n.Scopes) > 0 && !n.Workload {
		c.GrantTypes = append(c.GrantTypes, oauth.GrantClientCredentials)
	}
	if n.IDJAG {
		if n.Public || n.Workload {
			return c, "", refuse("an ID-JAG is taken from a client that proves who it is; give it a key or a secret")
		}
		c.GrantTypes = append(c.GrantTypes, oauth.GrantJWTBearer)
	}
	if len(c.GrantTypes) == 0 && !n.Workload {
		return c, "", refuse("the client can do nothing: give it a redirect URI for people's consent, or scopes to act for itself")
	}
	value, err = n.credential(a, &c)
	return c, value, err
}
