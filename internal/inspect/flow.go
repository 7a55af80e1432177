package inspect

import (
	"cmp"
	"slices"
	"time"
)

// prelude is how long before its first message with a name the messages of a
// client may have come that had none: where it found the way here.
const prelude = 30 * time.Second

// Flow is one connection attempt and what came of it: an authorization request
// up to its grant, then the traffic of that grant until the next one.
type Flow struct {
	ID string // of the authorization request; of the grant or client where that is not kept any more
	Keys
	Messages []Message // in order
}

// Begun returns when its first message came.
func (f Flow) Begun() time.Time { return time.UnixMicro(f.Messages[0].Time) }

// Refusals counts its messages that were refused.
func (f Flow) Refusals() int {
	n := 0
	for _, m := range f.Messages {
		if m.Rule != "" {
			n++
		}
	}
	return n
}

// Visible returns the messages that a person may see: their own, those of their
// authorization requests from before they were known, the registration of
// clients they dealt with, and those that name nobody at all.
func Visible(all []Message, accountID string) []Message {
	requests, clients := map[string]bool{}, map[string]bool{}
	for _, m := range all {
		if m.AccountID == accountID {
			requests[m.AuthRequest], clients[m.ClientID] = true, true
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m Message) bool {
		switch {
		case m.AccountID == accountID:
			return false
		case m.AccountID != "":
			return true
		case m.AuthRequest != "":
			return !requests[m.AuthRequest]
		case m.Kind == Registration:
			return !clients[m.ClientID]
		}
		return m.ClientID != ""
	})
}

// Flows makes flows of messages in their order, newest first.
func Flows(list []Message) []Flow {
	b := builder{byRequest: map[string]*Flow{}, byGrant: map[string]*Flow{}, ofClient: map[string]*Flow{}, waiting: map[string][]Message{}}
	var nameless []Message
	for _, m := range list {
		if m.ClientID == "" && m.AuthRequest == "" {
			nameless = append(nameless, m)
			continue
		}
		f := b.of(m)
		if f == nil {
			b.waiting[m.ClientID] = append(b.waiting[m.ClientID], m)
			continue
		}
		f.add(m)
	}
	for id, left := range b.waiting {
		if len(left) > 0 {
			f := b.begin("client-" + id)
			for _, m := range left {
				f.add(m)
			}
		}
	}
	flows := make([]Flow, 0, len(b.flows))
	for _, f := range b.flows {
		flows = append(flows, *f)
	}
	slices.SortFunc(flows, func(a, b Flow) int { return cmp.Compare(a.Messages[0].Time, b.Messages[0].Time) })
	attach(flows, nameless)
	slices.Reverse(flows)
	return flows
}

// Run makes one flow of all messages of a client.
func Run(list []Message, clientID string) Flow {
	f := Flow{ID: "client-" + clientID}
	var nameless []Message
	for _, m := range list {
		switch m.ClientID {
		case clientID:
			f.add(m)
		case "":
			nameless = append(nameless, m)
		}
	}
	if len(f.Messages) == 0 {
		return f
	}
	flows := []Flow{f}
	attach(flows, nameless)
	return flows[0]
}

// builder knows to which flow a message goes.
type builder struct {
	flows              []*Flow
	byRequest, byGrant map[string]*Flow
	ofClient           map[string]*Flow
	waiting            map[string][]Message // of clients without a flow
}

func (b *builder) begin(id string) *Flow {
	f := &Flow{ID: id}
	b.flows = append(b.flows, f)
	return f
}

// of returns the flow of a message, or nil if it waits for one: a registration
// comes before its flow.
func (b *builder) of(m Message) *Flow {
	var f *Flow
	switch {
	case m.AuthRequest != "":
		if f = b.byRequest[m.AuthRequest]; f == nil {
			f = b.begin(m.AuthRequest)
			for _, earlier := range b.waiting[m.ClientID] {
				f.add(earlier)
			}
			delete(b.waiting, m.ClientID)
			b.byRequest[m.AuthRequest] = f
		}
	case m.GrantID != "":
		if f = b.byGrant[m.GrantID]; f == nil {
			f = b.begin(m.GrantID)
		}
	case m.Kind == Registration || b.ofClient[m.ClientID] == nil:
		return nil
	default:
		f = b.ofClient[m.ClientID]
	}
	b.ofClient[m.ClientID] = f
	if m.GrantID != "" {
		b.byGrant[m.GrantID] = f
	}
	return f
}

func (f *Flow) add(m Message) {
	f.Messages = append(f.Messages, m)
	f.ClientID, f.GrantID, f.AccountID = cmp.Or(m.ClientID, f.ClientID), cmp.Or(m.GrantID, f.GrantID), cmp.Or(m.AccountID, f.AccountID)
	f.AuthRequest = cmp.Or(f.AuthRequest, m.AuthRequest)
}

// attach gives messages that name nobody to the flow of the same address and
// program at that time, if there is one.
func attach(flows []Flow, nameless []Message) {
	first := make([]int64, len(flows))
	last := make([]int64, len(flows))
	peers := make([]map[string]bool, len(flows))
	for i, f := range flows {
		peers[i] = map[string]bool{}
		first[i], last[i] = f.Messages[0].Time, f.Messages[len(f.Messages)-1].Time
		for _, m := range f.Messages {
			peers[i][m.Peer] = m.Peer != ""
		}
	}
	for _, m := range nameless {
		for i := range flows {
			if peers[i][m.Peer] && m.Time >= first[i]-prelude.Microseconds() && m.Time <= last[i] {
				flows[i].Messages = append(flows[i].Messages, m)
				break
			}
		}
	}
	for i := range flows {
		slices.SortStableFunc(flows[i].Messages, func(a, b Message) int { return cmp.Compare(a.Time, b.Time) })
	}
}
