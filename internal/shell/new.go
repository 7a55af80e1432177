package shell

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"gatehouse/mcpclient"
)

// Ask says how a person is reached who must sign in and agree.
type Ask int

// Ways to ask.
const (
	AskNobody  Ask = iota // what needs a person fails
	AskBrowser            // a browser is opened
	AskPrinted            // the address is printed
)

// Options says what New makes.
type Options struct {
	Server, Version string
	Folder          string // for tokens and history; empty is the person's own
	Account         string
	Roots           *x509.CertPool // nil: the system's

	ClientID, ClientSecret, ClientMetadataURL string
	Issuer, RedirectURI                       string
	Scope                                     []string
	ProtocolVersion                           string

	// How a token is got with nobody there; see mcpclient.Client.
	PrivateKey  []byte
	Certificate func(context.Context) (tls.Certificate, error)
	Unattended  bool
	Assertion   func(context.Context, mcpclient.Audience) (string, error)

	Ask                 Ask
	LoginWith, Password string // comes before Ask

	Out, Err           io.Writer
	JSON, Trace, Color bool
}

// New returns a shell for one server.
func New(o Options) (*Shell, error) {
	if o.Folder == "" {
		folder, err := mcpclient.DefaultFolder()
		if err != nil {
			return nil, fmt.Errorf("%w; name one with --store", err)
		}
		o.Folder = folder
	}
	var mu sync.Mutex // Out and Err may be one terminal
	s := &Shell{Server: o.Server, Out: &writer{&mu, o.Out}, Err: &writer{&mu, o.Err}, JSON: o.JSON, Color: o.Color, folder: o.Folder}
	s.tracing.Store(o.Trace)
	s.Client = &mcpclient.Client{
		Name: "Gatehouse console", Version: o.Version,
		ClientID: o.ClientID, ClientMetadataURL: o.ClientMetadataURL, Issuer: o.Issuer,
		RedirectURI: o.RedirectURI, Scope: o.Scope, ProtocolVersion: o.ProtocolVersion,
		Store: &mcpclient.Store{Folder: o.Folder}, Account: o.Account, RootCAs: o.Roots, Trace: s.Trace,
	}
	if o.ClientID != "" && o.PrivateKey == nil && o.Certificate == nil {
		s.Client.ClientSecret = o.ClientSecret
	}
	s.Client.Certificate = o.Certificate
	s.Client.PrivateKey, s.Client.Unattended, s.Client.Assertion = o.PrivateKey, o.Unattended, o.Assertion
	switch {
	case o.LoginWith != "":
		s.Client.Open = SignIn{Name: o.LoginWith, Password: o.Password, Transport: mcpclient.NewTransport(o.Roots)}.Open
	case o.Ask == AskBrowser:
		s.Client.Open = s.openBrowser
	case o.Ask == AskPrinted:
		s.Client.Open = s.printAddress
	}
	return s, nil
}

// writer lets the trace, which comes from where requests are made, and results
// take turns.
type writer struct {
	mu *sync.Mutex
	to io.Writer
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// Conform makes the shell's client the one under test of the official
// conformance suite, with nothing of the person's own.
func (s *Shell) Conform(ctx context.Context) error {
	c, err := readConformance()
	if err != nil {
		return err
	}
	s.Client.Store = nil
	return c.run(ctx, s.Client, s.Server)
}

// history is the file of lines typed before.
func (s *Shell) history() *history { return openHistory(filepath.Join(s.folder, "history")) }

// Interactive runs commands that a person types; see loop.
func (s *Shell) Interactive(ctx context.Context, in, out *os.File) error {
	h := s.history()
	return errors.Join(s.loop(ctx, in, out, h), h.save())
}
