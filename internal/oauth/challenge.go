package oauth

import (
	"strconv"
	"strings"
)

// Challenge is the content of a WWW-Authenticate header of scheme Bearer
// (RFC 6750 §3, RFC 9728 §5.1).
type Challenge struct {
	ResourceMetadata string // URL of the resource's metadata
	Error            Code   // empty when no token came: RFC 6750 §3.1 says a bare challenge then
	Description      string
	Scope            []string // what would be enough
	MaxAge           int      // seconds since the person signed in that are accepted (RFC 9470 §3); 0: no matter
}

// String returns the header value. Values cannot break out of their quotes:
// what RFC 6750 does not allow in them is replaced.
func (c Challenge) String() string {
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+Printable(value)+`"`)
		}
	}
	add("error", string(c.Error))
	add("error_description", c.Description)
	add("scope", FormatScope(c.Scope))
	if c.MaxAge > 0 {
		add("max_age", strconv.Itoa(c.MaxAge))
	}
	add("resource_metadata", c.ResourceMetadata)
	if len(params) == 0 {
		return "Bearer"
	}
	return "Bearer " + strings.Join(params, ", ")
}
