package client

import "time"

// Age makes everything that is held older: a server on a socket cannot live in
// fake time.
func (d *Documents) Age(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for a, h := range d.held {
		h.asked, h.fresh, h.stale, h.retry = h.asked.Add(-by), h.fresh.Add(-by), h.stale.Add(-by), h.retry.Add(-by)
		d.held[a] = h
	}
}

// Held is how many documents are held, and the most there may be.
func (d *Documents) Held() (n, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held), maxHeld
}
