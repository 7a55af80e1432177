package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/inspect"
	"gatehouse/internal/sqlstore"
)

// Inspected is whose messages are recorded: one of the two names.
type Inspected struct{ Client, Grant string }

// String names it as an operator did.
func (i Inspected) String() string {
	if i.Grant != "" {
		return "grant " + i.Grant
	}
	return "client " + i.Client
}

// RecordingLine is what is recorded now. Times are Unix seconds.
type RecordingLine struct {
	Subject string `json:"subject"` // client or grant
	ID      string `json:"id"`
	Since   int64  `json:"since"`
	Until   int64  `json:"until"`
	Reason  string `json:"reason"`
}

// Record turns recording on for a client or a grant, for a while (security.md
// 22). Running servers follow within two seconds.
func Record(ctx context.Context, cfg Config, what Inspected, length time.Duration, reason string) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		subject, id, entry, err := what.find(ctx, &cfg, db)
		if err != nil {
			return fmt.Errorf("record %s: %w", what, err)
		}
		s, err := inspect.NewSwitch(subject, id, length, reason, time.Now())
		if err != nil {
			return err
		}
		entry.Reason = fmt.Sprintf("recording of messages turned on from the terminal for %s: %s", length, reason)
		return recorded(ctx, db, entry, func() error { return db.TurnOn(ctx, s) })
	})
}

// StopRecording turns it off again. What was recorded stays for its hour.
func StopRecording(ctx context.Context, cfg Config, what Inspected) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		subject, id, entry, err := what.find(ctx, &cfg, db)
		if err != nil {
			return fmt.Errorf("stop recording %s: %w", what, err)
		}
		entry.Reason = "recording of messages turned off from the terminal"
		return recorded(ctx, db, entry, func() error {
			on, err := db.TurnOff(ctx, subject, id)
			if err == nil && !on {
				err = fmt.Errorf("stop recording %s: it is not recorded", what)
			}
			return err
		})
	})
}

// find checks that the subject of a switch exists, and returns the parties for
// the audit.
func (i Inspected) find(ctx context.Context, cfg *Config, db *sqlstore.DB) (subject, id string, entry audit.Entry, err error) {
	if (i.Client == "") == (i.Grant == "") {
		return "", "", entry, errors.New("name a client or a grant")
	}
	return Target{Client: i.Client, Grant: i.Grant}.find(ctx, cfg, db)
}

// Recordings lists what is recorded now.
func Recordings(ctx context.Context, cfg Config) (lines []RecordingLine, err error) {
	err = inStore(ctx, cfg, func(db *sqlstore.DB) error {
		list, err := db.Switches(ctx, time.Now())
		for _, s := range list {
			lines = append(lines, RecordingLine(s))
		}
		return err
	})
	return lines, err
}

// ExportMessages writes the recorded messages of a client, or of the flow that
// ended in a grant, as one HTML file. Who reads what an agent and a person said
// to each other is in the audit.
func ExportMessages(ctx context.Context, cfg Config, what Inspected, w io.Writer) error {
	return inStore(ctx, cfg, func(db *sqlstore.DB) error {
		_, _, entry, err := what.find(ctx, &cfg, db)
		if err != nil {
			return fmt.Errorf("export messages of %s: %w", what, err)
		}
		all, err := db.Messages(ctx, inspect.Filter{ClientID: entry.ClientID, Since: time.Now().Add(-inspect.MaxAge)})
		if err != nil {
			return err
		}
		f := inspect.Run(all, entry.ClientID)
		if what.Grant != "" {
			f = inspect.Flow{}
			for _, one := range inspect.Flows(all) {
				if one.GrantID == what.Grant {
					f = one
					break
				}
			}
		}
		if len(f.Messages) == 0 {
			return fmt.Errorf("export messages of %s: none were recorded within the last hour; see `gatehouse inspect on`", what)
		}
		drawing, err := inspect.NewDrawing()
		if err != nil {
			return err
		}
		entry.Reason = "messages exported from the terminal"
		return recorded(ctx, db, entry, func() error { return drawing.Export(w, "Messages of "+what.String(), f) })
	})
}
