package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/inspect"
)

// Record turns recording of an agent's messages on for a while (security.md 22).
// Servers follow within two seconds.
func (a *Acts) Record(ctx context.Context, by Actor, s Subject, length time.Duration, reason string) (entry string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", refuse("a reason is missing; say in a few words why")
	}
	on, err := inspect.NewSwitch(s.Kind, s.key, length, strings.TrimSpace(reason), time.Now())
	if err != nil {
		return "", refuse("choose between 1 minute and %d", int(inspect.MaxSwitch/time.Minute))
	}
	return a.record(ctx, by, fmt.Sprintf("recording of messages turned on for %s", length), reason, s.entry(), func() error {
		return a.Messages.TurnOn(ctx, on)
	})
}

// StopRecording turns it off again. What was recorded stays for its hour.
func (a *Acts) StopRecording(ctx context.Context, by Actor, s Subject) (entry string, err error) {
	return a.record(ctx, by, "recording of messages turned off", "", s.entry(), func() error {
		on, err := a.Messages.TurnOff(ctx, s.Kind, s.key)
		if err == nil && !on {
			err = refuse("it is not recorded")
		}
		return err
	})
}
