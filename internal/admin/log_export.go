package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
)

// Bounds of one export.
const (
	exportEntries = 100_000
	exportLooks   = 1_000 // searches, each of ten times a batch
	exportBatch   = 500
	exportPause   = time.Minute // that a reader may take for a batch
	exportsAtOnce = 2
)

// exported is an entry as it leaves, with the names of its parties.
type exported struct {
	audit.Entry
	Account string `json:"account_name,omitempty"`
	Client  string `json:"client_name,omitempty"`
	By      string `json:"by_name,omitempty"`
}

// exportEnd is the last line. Whoever finds none has a part of an export.
type exportEnd struct {
	Export struct {
		Entries  int    `json:"entries"`
		Complete bool   `json:"complete"`
		Next     string `json:"next,omitempty"` // where to go on
	} `json:"export"`
}

var errExporting = &problem{http.StatusTooManyRequests, "Others are exporting just now", "Two exports run already, and each keeps the database busy.", "Try again in a minute."}

// exportLog streams what a filter picks as JSON Lines, newest first. It is
// recorded before the first line leaves.
func (s *Server) exportLog(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := readSieve(r)
	if err != nil {
		return err
	}
	filter, err := s.filter(r.Context(), f)
	if sentence, ok := errors.AsType[unclear](err); ok {
		return &problem{http.StatusBadRequest, "This filter means nothing here", string(sentence), "Change the filter on the audit's page."}
	}
	if err != nil {
		return err
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return errExporting
	}
	x := &export{s: s, r: r, w: w, sieve: f, filter: filter}
	entry := audit.Entry{Detail: map[string]string{"filter": f.query().Encode()}}
	by := Actor{AccountID: v.ID, From: "the console", RequestID: httpserver.RequestID(r.Context())}
	_, err = (&Acts{Audit: s.Log}).record(r.Context(), by, "audit exported", "", entry, x.run)
	if err != nil && x.begun {
		// There is no page to show it on; the last line is missing.
		httpserver.Note(r.Context(), "export", err)
		return nil
	}
	return err
}

// export is one on its way out.
type export struct {
	s      *Server
	r      *http.Request
	w      http.ResponseWriter
	sieve  sieve
	filter audit.Filter
	begun  bool // the header has left
}

// run writes batch after batch, so that it holds no more than one.
func (x *export) run() error {
	var last exportEnd
	at := x.sieve.before
	for range exportLooks {
		found, err := x.s.Log.Find(x.r.Context(), x.filter, at, min(exportBatch, exportEntries-last.Export.Entries))
		if err != nil {
			return err
		}
		if err := x.write(found.Entries); err != nil {
			return err
		}
		last.Export.Entries += len(found.Entries)
		at = found.Next
		if at.IsZero() || last.Export.Entries >= exportEntries {
			break
		}
	}
	if last.Export.Complete = at.IsZero(); !last.Export.Complete {
		last.Export.Next = x.sieve.address("/admin/audit.jsonl", at)
	}
	if err := json.NewEncoder(x.w).Encode(last); err != nil {
		return fmt.Errorf("write the end of an export: %w", err)
	}
	return nil
}

func (x *export) write(entries []audit.Entry) error {
	names, err := x.s.names(x.r.Context(), entries)
	if err != nil {
		return err
	}
	if !x.begun {
		h := x.w.Header()
		h.Set("Content-Type", "application/jsonl")
		h.Set("Content-Disposition", `attachment; filename="audit-`+time.Now().UTC().Format("20060102-150405")+`.jsonl"`)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		x.begun = true
	}
	control := http.NewResponseController(x.w)
	if err := control.SetWriteDeadline(time.Now().Add(exportPause)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("go on with an export: %w", err)
	}
	lines := json.NewEncoder(x.w)
	for _, e := range entries {
		if err := lines.Encode(exported{e, names.Accounts[e.AccountID], names.Clients[e.ClientID], names.Accounts[e.Detail["by"]]}); err != nil {
			return fmt.Errorf("write an export: %w", err)
		}
	}
	return nil
}
