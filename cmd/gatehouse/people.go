package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/term"

	"gatehouse/internal/app"
	"gatehouse/internal/shell"
)

type personCommand struct {
	Add        personAddCommand        `cmd:"" help:"Add somebody who can sign in."`
	List       personListCommand       `cmd:"" help:"List who can sign in."`
	Invite     personInviteCommand     `cmd:"" help:"Add somebody who chooses a password by a link."`
	Attributes personAttributesCommand `cmd:"" help:"Replace what APIs may be told of somebody."`
	Role       personRoleCommand       `cmd:"" help:"Let somebody administer this installation, or audit it, or neither."`
	Password   personPasswordCommand   `cmd:"" help:"Set somebody's password and sign them out everywhere."`
	End        personEndCommand        `cmd:"" help:"Sign somebody out everywhere and end what agents were allowed."`
}

func (c *personCommand) Help() string {
	return "Example:\n\n  gatehouse person add alice --claim region=USA"
}

type personAddCommand struct {
	Name  string            `arg:"" help:"Name to sign in with."`
	Claim map[string]string `placeholder:"NAME=VALUE" help:"Attribute that tokens carry to APIs that ask for it; repeat for more."`
	Role  string            `default:"none" enum:"admin,auditor,none" help:"What they may do in the administration: admin, auditor or none (default ${default})."`
	JSON  bool              `help:"Print the result as JSON."`
	configFlag
}

func (c *personAddCommand) Help() string {
	return "The password is asked for, or read from standard input where that is no terminal.\n\nExamples:\n\n" +
		"  gatehouse person add alice --claim region=USA\n  gatehouse person add bruno --role auditor < password.txt"
}

func (c *personAddCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	password, err := readPassword(o)
	if err != nil {
		return err
	}
	id, err := app.AddPerson(ctx, config, app.NewPerson{Name: c.Name, Role: c.Role, Claims: c.Claim}, password)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]string{"id": id, "name": c.Name})
	}
	fmt.Fprintf(o.Out, "%s can sign in now.\n", c.Name)
	return nil
}

type personInviteCommand struct {
	Name  string            `arg:"" help:"Name to sign in with."`
	Claim map[string]string `placeholder:"NAME=VALUE" help:"Attribute that tokens carry to APIs that ask for it; repeat for more."`
	Role  string            `default:"none" enum:"admin,auditor,none" help:"What they may do in the administration: admin, auditor or none (default ${default})."`
	JSON  bool              `help:"Print the result as JSON."`
	where
}

func (c *personInviteCommand) Help() string {
	return "The link is printed once, is good for three days, and works once. Whoever opens it first is that person.\n\nExample:\n\n" +
		"  gatehouse person invite alice --claim region=USA"
}

func (c *personInviteCommand) Run(ctx context.Context, o output) error {
	invited, err := c.invite(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(o.Out).Encode(invited)
	}
	fmt.Fprintf(o.Out, "%s chooses a password at this link until %s (shown this once):\n%s\n", invited.Name, exact(invited.Until), invited.Link)
	return nil
}

func (c *personInviteCommand) invite(ctx context.Context, o output) (app.InvitationLine, error) {
	if c.remote() {
		var line app.InvitationLine
		body := map[string]any{"name": c.Name, "role": c.Role}
		if c.Claim != nil {
			body["attributes"] = c.Claim
		}
		err := c.post(ctx, o, "/people", body, &line)
		return line, err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return app.InvitationLine{}, err
	}
	return app.InvitePerson(ctx, config, app.NewPerson{Name: c.Name, Role: c.Role, Claims: c.Claim})
}

type personAttributesCommand struct {
	Name   string            `arg:"" help:"Whose."`
	Claim  map[string]string `placeholder:"NAME=VALUE" help:"Attribute that tokens carry to APIs that ask for it; repeat for all that there shall be."`
	Reason string            `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	where
}

func (c *personAttributesCommand) Help() string {
	return "Replaces all attributes. If somebody else changes them at the same time, one of the two is told so.\n\nExample:\n\n" +
		"  gatehouse person attributes alice --claim region=Europe --reason \"moved\""
}

func (c *personAttributesCommand) Run(ctx context.Context, o output) error {
	if c.Claim == nil {
		c.Claim = map[string]string{}
	}
	if err := c.set(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s has %s now; a second from now no call is made with what was before.\n", c.Name, count(len(c.Claim), "attribute"))
	return nil
}

func (c *personAttributesCommand) set(ctx context.Context, o output) error {
	if c.remote() {
		path := personPath(c.Name) + "/attributes"
		etag, err := c.get(ctx, o, path, nil)
		if err == nil {
			_, err = c.ask(ctx, o, shell.Request{Method: http.MethodPut, Path: path, IfMatch: etag, Body: map[string]any{"attributes": c.Claim, "reason": c.Reason}}, nil)
		}
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.SetAttributes(ctx, config, c.Name, c.Claim, c.Reason)
}

type personRoleCommand struct {
	Name   string `arg:"" help:"Who."`
	Role   string `arg:"" enum:"admin,auditor,none" help:"admin, auditor (reads all, changes nothing) or none."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the audit."`
	where
}

func (c *personRoleCommand) Help() string {
	return "Takes effect at once. The last administrator who can sign in stays one.\n\nExample:\n\n" +
		"  gatehouse person role alice admin --reason \"second administrator\""
}

func (c *personRoleCommand) Run(ctx context.Context, o output) error {
	if err := c.set(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "The role of %s is %s now.\n", c.Name, c.Role)
	return nil
}

func (c *personRoleCommand) set(ctx context.Context, o output) error {
	if c.remote() {
		path := personPath(c.Name) + "/role"
		etag, err := c.get(ctx, o, path, nil)
		if err == nil {
			_, err = c.ask(ctx, o, shell.Request{Method: http.MethodPut, Path: path, IfMatch: etag, Body: map[string]string{"role": c.Role, "reason": c.Reason}}, nil)
		}
		return err
	}
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	return app.SetRole(ctx, config, c.Name, c.Role, c.Reason)
}

type personPasswordCommand struct {
	Name string `arg:"" help:"Whose."`
	configFlag
}

func (c *personPasswordCommand) Help() string {
	return "The password is asked for, or read from standard input where that is no terminal. Agents keep what the person allowed them.\n\nExample:\n\n" +
		"  gatehouse person password alice"
}

func (c *personPasswordCommand) Run(ctx context.Context, o output) error {
	config, err := app.Load(c.File)
	if err != nil {
		return err
	}
	password, err := readPassword(o)
	if err != nil {
		return err
	}
	if err := app.SetPassword(ctx, config, c.Name, password); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s signs in with the new password from now on, and is signed out everywhere.\n", c.Name)
	return nil
}

// readPassword asks for a password twice, or reads one line from a pipe.
func readPassword(o output) (string, error) {
	in, ok := o.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		data, err := io.ReadAll(io.LimitReader(o.In, 4096))
		if err != nil {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		return strings.TrimSuffix(first, "\r"), nil
	}
	var entered [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(o.Err, prompt)
		line, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(o.Err)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		entered[i] = string(line)
	}
	if entered[0] != entered[1] {
		return "", errors.New("the two passwords differ; nothing was stored")
	}
	return entered[0], nil
}

type clientCommand struct {
	Add  clientAddCommand  `cmd:"" help:"Add an agent that an administrator vouches for."`
	List clientListCommand `cmd:"" help:"List the agents that are known."`
	End  clientEndCommand  `cmd:"" help:"End everything that an agent was allowed, and its registration."`
}

func (c *clientCommand) Help() string {
	return "Agents also register themselves; this is for those that cannot, or that you vouch for.\n\nExample:\n\n  gatehouse client add \"Nightly report\" --scope orders:read --workload"
}

type clientAddCommand struct {
	Name               string            `arg:"" help:"Name that people see."`
	RedirectURI        []string          `sep:"none" placeholder:"URL" help:"Where answers go, for an agent that people use; repeat for more."`
	Scope              []string          `placeholder:"SCOPE" help:"What it may do for itself, without a person (client credentials); repeat for more."`
	ID                 string            `name:"id" placeholder:"ID" help:"Client ID; one is made up otherwise."`
	Public             bool              `xor:"proof" help:"It cannot prove who it is: a program on people's computers."`
	Key                string            `xor:"proof" type:"existingfile" placeholder:"FILE" help:"It proves who it is with the private half of this public key (private_key_jwt): PEM, JWK or JWK set."`
	KeysURL            string            `xor:"proof" name:"keys-url" placeholder:"URL" help:"The same, with the keys that it publishes at this https address, so that it can replace them."`
	Certificate        string            `xor:"proof" type:"existingfile" placeholder:"FILE" help:"It shows this certificate in TLS, whoever signed it (self_signed_tls_client_auth): PEM, several while one replaces another."`
	CertificateSubject string            `xor:"proof" placeholder:"SUBJECT" help:"It shows in TLS a certificate of an authority of mutual_tls with this subject: dns:, uri:, ip:, email: or dn: and the name (tls_client_auth)."`
	Workload           bool              `xor:"proof" help:"The platform that it runs on vouches for it; see gatehouse trust. It has no credential at all."`
	IDJAG              bool              `name:"id-jag" help:"An identity provider in trust may send people through it (ID-JAG)."`
	Secret             bool              `xor:"proof" help:"It proves who it is with a secret that is printed once."`
	Claim              map[string]string `placeholder:"NAME=VALUE" help:"Attribute that APIs may be told where it acts for itself; repeat for more."`
	JSON               bool              `help:"Print the result as JSON."`
	where
}

func (c *clientAddCommand) Help() string {
	return "An agent that acts for itself has a key of its own, or is vouched for by its platform; a secret that is shared is for what can do neither. It is printed once and stored only as a hash.\n\nExamples:\n\n" +
		"  gatehouse client add \"Support desk\" --redirect-uri https://desk.example.com/callback\n" +
		"  gatehouse client add \"Nightly report\" --id nightly-report --scope orders:read --claim region=USA --workload\n" +
		"  gatehouse client add \"Exporter\" --scope orders:read --key exporter.pub.pem\n" +
		"  gatehouse client add \"Ledger\" --scope orders:read --certificate-subject uri:spiffe://example.org/ledger"
}

func (c *clientAddCommand) Run(ctx context.Context, o output) error {
	n := app.NewClient{ID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURI, Scopes: c.Scope, Claims: c.Claim, Public: c.Public, Secret: c.Secret, Workload: c.Workload, KeysURL: c.KeysURL, CertificateSubject: c.CertificateSubject, IDJAG: c.IDJAG}
	if c.Certificate != "" {
		var err error
		if n.Certificates, err = os.ReadFile(c.Certificate); err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
	}
	if c.Key != "" {
		var err error
		if n.Keys, err = os.ReadFile(c.Key); err != nil {
			return fmt.Errorf("read the public key: %w", err)
		}
	}
	id, value, err := c.add(ctx, o, n)
	if err != nil {
		return err
	}
	if c.JSON {
		answer := map[string]string{"client_id": id, "client_name": c.Name}
		if value != "" {
			answer["client_secret"] = value
		}
		return json.NewEncoder(o.Out).Encode(answer)
	}
	fmt.Fprintf(o.Out, "client_id:     %s\n", id)
	if value != "" {
		fmt.Fprintf(o.Out, "client_secret: %s   (shown this once)\n", value)
	}
	return nil
}

func (c *clientAddCommand) add(ctx context.Context, o output, n app.NewClient) (id, value string, err error) {
	if !c.remote() {
		config, err := app.Load(c.File)
		if err != nil {
			return "", "", err
		}
		return app.AddClient(ctx, config, n)
	}
	proof := "secret"
	switch {
	case n.Public:
		proof = "public"
	case n.Keys != nil:
		proof = "key"
	case n.KeysURL != "":
		proof = "keys-url"
	case n.Certificates != nil:
		proof = "certificate"
	case n.CertificateSubject != "":
		proof = "subject"
	case n.Workload:
		proof = "workload"
	}
	var added struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	body := map[string]any{"client_name": n.Name, "client_id": n.ID, "proof": proof, "keys": string(n.Keys) + string(n.Certificates), "certificate_subject": n.CertificateSubject, "jwks_uri": n.KeysURL, "scope": strings.Join(n.Scopes, " "), "id_jag": n.IDJAG}
	if n.RedirectURIs != nil {
		body["redirect_uris"] = n.RedirectURIs
	}
	if n.Claims != nil {
		body["attributes"] = n.Claims
	}
	err = c.post(ctx, o, "/agents", body, &added)
	return added.ID, added.Secret, err
}
