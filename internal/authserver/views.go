package authserver

import (
	"embed"
	"time"
)

// pages are the templates of this server; each is filled from the view of the
// same name below. Every form posts to a constant path of this origin and
// carries the authorization request's id in "request".
//
//go:embed pages/*.html
var pages embed.FS

// AgentView is the OAuth client as a person meets it: who asks.
type AgentView struct {
	Name         string // as the client gave it; shown as its own claim unless Verified
	Verified     bool   // somebody or something other than the client vouches for the name; on this computer it is "known", as any program can borrow a client_id (RFC 8252 §8.6)
	How          string // one sentence: how it was verified, or how it came here unverified
	RedirectHost string // host[:port] of the redirect URI in ASCII, or a custom scheme ("com.example.app"); always shown (R-AS-12)
	Loopback     bool   // the redirect goes to this computer (a loopback address, a custom scheme), so any program on it may be asking
	ClientID     string
	Publisher    string // host[:port] in ASCII that publishes the description at the client_id; empty if there is none. If Verified, it is this that was verified, and the name is its own word
	Fingerprint  string // of what the page shows of it; the decision sends it back as "agent"
}

// PersonView is somebody one can be in the demo.
type PersonView struct {
	Name  string // "alice"
	Where string // what makes them different: "customers in USA"
}

// LoginView fills login.html. It posts to /login: "action" is signin (with
// "username" and, for passwords, "password") or deny.
type LoginView struct {
	Own     bool   // no agent asks: the person wants their own page
	Console bool   // nor here: it is the administration console
	Host    string // of this server, beside the mark, to compare with the address bar
	Request string // id of the authorization request
	Agent   AgentView
	API     string       // the API's name: "Customer API"
	Method  string       // "password", or "username" where any name signs in
	Name    string       // prefilled user name
	Locked  bool         // with the method username: this name has a password
	Problem string       // what went wrong and what to do, or empty
	Demo    bool         // says that this is a demonstration
	People  []PersonView // with the method username: one button each
}

// ScopeView is one thing the client may become able to do.
type ScopeView struct {
	Name    string    // the scope itself: "users:read"
	Text    string    // what it allows, as a verb phrase: "read customers"
	Detail  string    // one sentence on what that means, or empty
	Tools   []string  // names of the tools it opens, in order
	Risk    string    // "read", "change" or "delete"; anything but "read" is shown apart
	Checked bool      // switched on when the page opens
	Tried   time.Time // when the agent tried it without being allowed; zero if it did not
}

// ClaimView is one fact about the person or the client that reaches the API.
type ClaimView struct {
	Name  string // the claim: "region"
	Value string // "USA"
	Text  string // what it is in plain words: "Your region"; empty shows the name alone
	Note  string // what the value means: "not at all"; may be empty
}

// ConsentView fills consent.html. It posts to /consent: "action" is allow
// (with one "scope" for each switch that is on), deny or switch. "account" is
// whom the page showed, so that a page left open cannot answer for another.
type ConsentView struct {
	Host     string
	Request  string
	Agent    AgentView
	API      string
	Account  string    // as whom
	Until    time.Time // the access ends; zero if only the person ends it
	Scopes   []ScopeView
	Tried    []ScopeView // not asked for, but tried: offered apart and switched off
	Claims   []ClaimView
	Resource string // the resource identifier the token is bound to (RFC 8707)
	Redirect string // the whole redirect URI
	Problem  string // what went wrong and what to do, or empty
}

// Calm is the scopes that only read.
func (v ConsentView) Calm() []ScopeView { return v.scopes(false) }

// Risky is the scopes that change or delete something, and those whose risk is
// not known.
func (v ConsentView) Risky() []ScopeView { return v.scopes(true) }

func (v ConsentView) scopes(risky bool) []ScopeView {
	var out []ScopeView
	for _, s := range v.Scopes {
		if (s.Risk != "read") == risky {
			out = append(out, s)
		}
	}
	return out
}

// ConfirmView fills confirm.html, the one-button page for a person who is
// signed in and already allowed the same to a client that cannot prove who it
// is (RFC 8252 §8.6). It posts to /consent: "action" is continue, deny or
// switch.
type ConfirmView struct {
	Host    string
	Request string
	Agent   AgentView
	API     string
	Account string
	Since   time.Time   // when it was allowed
	Until   time.Time   // the access ends; zero if only the person ends it
	Scopes  []ScopeView // what was allowed
	Claims  []ClaimView
	Problem string // what went wrong and what to do, or empty
}

// ErrorView fills error.html, where a request cannot be answered by a redirect.
type ErrorView struct {
	Host      string
	Title     string // what happened: "This sign-in was started in another browser"
	What      string // a sentence more: what happened, to what
	Next      string // what to do next: "Start again from Notebook."
	Link      string // where the person may go on, or empty; LinkHost names it
	LinkHost  string
	Reference string // the request id, for an administrator to search for
}

// AccountView fills account.html, a person's own page. Its forms post to
// /account/end and /account/narrow ("connection", and one "scope" for each
// switch that is on) and /account/leave ("where" is here or everywhere).
// "account" is whom the page showed.
type AccountView struct {
	Host        string
	Account     string
	Connections []ConnectionView
	Later       bool   // there are agents that may act for people later
	Notice      string // what was done, or empty
	Problem     string // what went wrong and what to do, or empty
}

// ConnectionView is one agent at one API.
type ConnectionView struct {
	ID           string
	Agent        AgentView
	API          string
	Scopes       []ScopeView
	Since, Until time.Time
	LastTool     string    // that it called; empty if none
	LastTime     time.Time // when
	LastWell     bool      // the call was carried out
	Standing     bool      // it may act with nobody there
}

// StandingView fills standing.html. It posts to /account/standing: "account" is
// whom the page showed, "agent" and "api" which offer, "scope" once for each
// switch that is on, and "until" a day.
type StandingView struct {
	Host                    string
	Account                 string
	Offers                  []OfferView
	Until, Earliest, Latest time.Time
	Problem                 string // what went wrong and what to do, or empty
}

// OfferView is an agent that may act for people at an API.
type OfferView struct {
	Agent   AgentView
	API     string
	APIName string
	Scopes  []ScopeView
	Claims  []ClaimView // that the API would be told
}

// LogoutView fills logout.html. It posts to /logout what the request had, and
// "action" leave.
type LogoutView struct {
	Host                        string
	Account                     string
	Agent                       AgentView
	Asked                       bool // by a client that is known; else by nobody knows whom
	Hint, ClientID, Back, State string
}

// NoticeView fills notice.html: something ended as asked, and nothing more is
// to be done here ("You are signed out").
type NoticeView struct {
	Host     string
	Title    string
	What     string
	Next     string // may be empty
	Link     string // a path of this server, or empty; LinkText names it
	LinkText string
}

// InvitationView asks somebody who was invited for a password.
type InvitationView struct {
	Host    string
	Name    string // of the account
	Problem string
}
