package egress

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxSeconds bounds what headers may say, so that sums cannot overflow.
const maxSeconds = 1 << 31

// Fresh is how long an answer may be used, by its own headers (RFC 9111 §4.2),
// and whether they say anything about that. This server serves many, so it is
// a shared cache and what is private does not last.
func (r Response) Fresh() (lifetime time.Duration, told bool) {
	d := directives(r.Header)
	for _, name := range []string{"no-store", "no-cache", "private"} {
		if _, ok := d[name]; ok {
			return 0, true
		}
	}
	age := time.Duration(number(r.Header.Get("Age"))) * time.Second
	for _, name := range []string{"s-maxage", "max-age"} {
		if value, ok := d[name]; ok {
			return max(0, time.Duration(number(value))*time.Second-age), true
		}
	}
	value := r.Header.Get("Expires")
	if value == "" {
		return 0, false
	}
	expires, err := http.ParseTime(value)
	date, dateErr := http.ParseTime(r.Header.Get("Date"))
	if err != nil || dateErr != nil {
		return 0, true // §5.3: an invalid date is in the past
	}
	return max(0, expires.Sub(date)-age), true
}

// StaleIfError is how much longer an answer may be used while its server
// fails (RFC 5861 §4): most, or less if its headers say so.
func (r Response) StaleIfError(most time.Duration) time.Duration {
	d := directives(r.Header)
	for _, name := range []string{"no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate", "s-maxage"} {
		if _, ok := d[name]; ok {
			return 0 // RFC 9111 §4.2.4
		}
	}
	if value, ok := d["stale-if-error"]; ok {
		return min(most, time.Duration(number(value))*time.Second)
	}
	return most
}

// directives are those of Cache-Control, in lower case, the first of each name.
func directives(h http.Header) map[string]string {
	found := map[string]string{}
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(part, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if _, twice := found[name]; !twice && name != "" {
				found[name] = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return found
}

// number reads seconds; what is no number is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return min(n, maxSeconds)
}
