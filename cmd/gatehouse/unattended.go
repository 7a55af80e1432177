package main

import (
	"fmt"
	"os"
	"strings"

	"gatehouse/internal/shell"
)

// unattendedFlags say how a token is got with no person there.
type unattendedFlags struct {
	Key           string `type:"existingfile" xor:"credential" placeholder:"FILE" help:"Act for --client-id itself, proving it with this private key (PEM or JWK)."`
	MTLS          string `name:"mtls" xor:"credential" placeholder:"CERT,KEY" help:"Act for --client-id itself, proving it with this certificate and private key (PEM files), read anew for each token."`
	Unattended    bool   `xor:"credential" help:"Act for --client-id itself, proving it with the secret in GATEHOUSE_CLIENT_SECRET."`
	WorkloadToken string `name:"workload-token" xor:"credential" placeholder:"FILE" help:"Be the workload that this token of its platform names, such as a Kubernetes service account token; read anew for each token."`
	SPIFFE        string `name:"spiffe" xor:"credential" placeholder:"SOCKET" help:"Be the workload that the SPIFFE Workload API at this address says, such as unix:///run/spire/agent.sock; asked anew for each token."`
	IDJAG         string `name:"id-jag" xor:"assertion" placeholder:"FILE" help:"Act for the person of this ID-JAG, presented by --client-id with its key or secret; read anew for each token."`
	IDP           string `name:"idp" xor:"assertion" placeholder:"ISSUER" help:"Get the ID-JAG from this identity provider, for --id-token."`
	IDPClientID   string `name:"idp-client-id" placeholder:"ID" help:"Who this client is at --idp; its secret, if it has one, in GATEHOUSE_IDP_CLIENT_SECRET."`
	IDToken       string `name:"id-token" type:"existingfile" placeholder:"FILE" help:"ID token of the person's sign-in at --idp."`
}

// set fills in options. What does not go together is told by the client.
func (f unattendedFlags) set(o *shell.Options) error {
	if f.Key != "" {
		text, err := os.ReadFile(f.Key)
		if err != nil {
			return fmt.Errorf("read --key: %w", err)
		}
		o.PrivateKey, o.Unattended = text, true
	}
	if f.MTLS != "" {
		certificate, key, ok := strings.Cut(f.MTLS, ",")
		if !ok || certificate == "" || key == "" {
			return usageError("--mtls needs two files: CERT,KEY")
		}
		o.Certificate, o.Unattended = shell.FromFiles(certificate, key), true
	}
	o.Unattended = o.Unattended || f.Unattended
	switch {
	case f.WorkloadToken != "":
		if o.ClientID != "" {
			return usageError("--workload-token says who the client is; leave --client-id out")
		}
		o.Assertion = shell.FromFile(f.WorkloadToken)
	case f.SPIFFE != "":
		if o.ClientID != "" {
			return usageError("--spiffe says who the client is; leave --client-id out")
		}
		o.Assertion = shell.FromSPIFFE(f.SPIFFE)
	case f.IDJAG != "":
		o.Assertion = shell.FromFile(f.IDJAG)
	case f.IDP != "":
		if f.IDToken == "" || f.IDPClientID == "" {
			return usageError("--idp needs --id-token and --idp-client-id")
		}
		o.Assertion = shell.FromProvider(f.IDP, f.IDPClientID, os.Getenv("GATEHOUSE_IDP_CLIENT_SECRET"), f.IDToken)
	}
	return nil
}
