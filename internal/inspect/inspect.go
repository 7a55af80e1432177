// Package inspect makes the messages of OAuth and MCP visible: what passed
// between browser, client, authorization server, gateway and API in one flow,
// in order, with the reason of every refusal.
//
// It owns the record of a message, the list of what may be kept of each kind
// (security.md 22), how messages make a flow, and how a flow is drawn. It sees
// no message by itself: handlers tell it, through a [Draft], what they parsed
// and decided. It decides nothing, and nothing waits for it.
package inspect

import (
	"context"
	"fmt"
	"time"
)

// Lane is one of the five parties of a flow.
type Lane string

// The lanes, from left to right.
const (
	Browser    Lane = "browser"
	Client     Lane = "client"
	AuthServer Lane = "authserver"
	Gateway    Lane = "gateway"
	API        Lane = "api"
)

// Bounds of what is kept.
const (
	MaxAge      = time.Hour // of a message
	MaxMessages = 5000      // of all flows together
	MaxSwitch   = time.Hour // for which recording can be turned on
)

// Keys say which flow a message belongs to. Those that are not known are empty.
type Keys struct {
	ClientID, GrantID, AccountID string
	AuthRequest                  string // identifier of the authorization request
}

// Message is a request with its answer, as far as it may be kept.
type Message struct {
	Keys      `json:"-"`
	Time      int64  `json:"-"` // when the request came, microseconds of Unix time
	Kind      Kind   `json:"-"`
	Peer      string `json:"-"` // stands for the address and program that sent it, if it is not known which client it was
	RequestID string `json:"id,omitempty"`
	Method    string `json:"method,omitempty"`
	Path      string `json:"path,omitempty"` // of ours: where it holds an argument, the argument's name
	Host      string `json:"host,omitempty"`
	Status    int    `json:"status,omitempty"`

	Asked     []Field  `json:"asked,omitempty"`
	Answered  []Field  `json:"answered,omitempty"`
	Others    int      `json:"others,omitempty"` // parameters that the kind has no place for
	Presented *Token   `json:"presented,omitempty"`
	Issued    *Token   `json:"issued,omitempty"`
	Rule      string   `json:"rule,omitempty"` // behind a refusal, a key of the table of rules
	Needs     []string `json:"needs,omitempty"`
}

// Field is a parameter of a message. One that is Masked was there, and its
// value was not kept.
type Field struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Masked bool   `json:"masked,omitempty"`
}

// Filter picks messages. Account is the person's own view: what is theirs, and
// what may belong to it. Client is an auditor's. Both empty pick all.
type Filter struct {
	AccountID, ClientID string
	Since               time.Time // no older ones
}

// Switch turns recording on for a client or a grant.
type Switch struct {
	Subject string `json:"subject"` // client or grant
	ID      string `json:"id"`
	Since   int64  `json:"since"` // Unix seconds
	Until   int64  `json:"until"` // Unix seconds
	Reason  string `json:"-"`
}

// NewSwitch returns a switch from now on, for a while that is bounded (security.md
// 22).
func NewSwitch(subject, id string, length time.Duration, reason string, now time.Time) (Switch, error) {
	if length < time.Second || length > MaxSwitch {
		return Switch{}, fmt.Errorf("record %s %s for %s: it must be a second at least and %s at most", subject, id, length, MaxSwitch)
	}
	return Switch{Subject: subject, ID: id, Since: now.Unix(), Until: now.Add(length).Unix(), Reason: reason}, nil
}

// Store keeps messages and switches. Its methods are atomic.
type Store interface {
	Sink
	// Messages returns what f picks, oldest first.
	Messages(ctx context.Context, f Filter) ([]Message, error)
	// TurnOn adds a switch, in place of one for the same.
	TurnOn(ctx context.Context, s Switch) error
	// TurnOff takes a switch back, and reports whether there was one.
	TurnOff(ctx context.Context, subject, id string) (bool, error)
}
