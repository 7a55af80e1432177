package sampleapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/oauth"
)

// Limits of what a caller may send.
const (
	maxBody     = 16 << 10 // bytes
	maxText     = 100      // characters of a name or a company
	maxEmail    = 254      // RFC 5321 §4.5.3.1.3
	maxCursor   = 64
	maxPage     = 100
	defaultPage = 20
)

// pathID reads a number of the path.
func pathID(r *http.Request, name string) (int64, error) {
	id, err := strconv.ParseUint(r.PathValue(name), 10, 63)
	if err != nil || id == 0 {
		return 0, refuse(http.StatusBadRequest, name+" in the path must be a whole number from 1, such as 7")
	}
	return int64(id), nil
}

// query reads the parameters of the URL. One that the operation does not know
// is refused, because a misspelled filter would otherwise show everything; so
// is one given twice or empty.
func query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read; percent-encode its values")
	}
	for name, v := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, refuse(http.StatusBadRequest, "there is a query parameter that is not known here; known are: "+strings.Join(known, ", "))
		case len(v) > 1:
			return nil, refuse(http.StatusBadRequest, name+" is given twice; give it once")
		case v[0] == "":
			return nil, refuse(http.StatusBadRequest, name+" is empty; leave it out or give it a value")
		}
	}
	return values, nil
}

// A page is which part of a list is wanted: at most limit rows whose id is
// greater than after.
type page struct {
	limit int
	after int64
}

func parsePage(q url.Values) (page, error) {
	p := page{limit: defaultPage}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxPage {
			return page{}, refuse(http.StatusBadRequest, fmt.Sprintf("limit must be a whole number from 1 to %d", maxPage))
		}
		p.limit = n
	}
	if s := q.Get("cursor"); s != "" {
		after, err := readCursor(s)
		if err != nil {
			return page{}, refuse(http.StatusBadRequest, "cursor is none of ours; take it unchanged from next of the page before, or leave it out")
		}
		p.after = after
	}
	return p, nil
}

// cursor names the row after which the next page begins. It is opaque so that
// nobody counts on its form, not because it would open anything.
func cursor(id int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte("after " + strconv.FormatInt(id, 10)))
}

func readCursor(s string) (int64, error) {
	if len(s) > maxCursor {
		return 0, errors.New("cursor is too long")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return 0, err
	}
	id, ok := strings.CutPrefix(string(b), "after ")
	if !ok {
		return 0, errors.New("cursor has another form")
	}
	n, err := strconv.ParseUint(id, 10, 63)
	return int64(n), err
}

// oneOf reads a parameter that has a few possible values; empty means that it
// is not there.
func oneOf(q url.Values, name string, allowed []string) (string, error) {
	s := q.Get(name)
	if s != "" && !slices.Contains(allowed, s) {
		return "", refuse(http.StatusBadRequest, name+" must be one of: "+strings.Join(allowed, ", "))
	}
	return s, nil
}

// body reads the JSON object that r carries. Every member must be known, and
// none may come twice.
func body(w http.ResponseWriter, r *http.Request, types []string, known ...string) (map[string]json.RawMessage, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, mediaType) {
		return nil, refuse(http.StatusUnsupportedMediaType, "send the body as JSON, with the header Content-Type: "+types[0])
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send less", maxBody))
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body broke off; send the request again")
	}
	if !utf8.Valid(data) {
		return nil, refuse(http.StatusBadRequest, "the body is not UTF-8; encode it so")
	}
	members, err := oauth.Members(data, 1)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body must be one JSON object, each member given once: "+err.Error())
	}
	for name := range members {
		if !slices.Contains(known, name) {
			return nil, refuse(http.StatusBadRequest, "the body has a member that is not known here; known are, exactly so: "+strings.Join(known, ", "))
		}
	}
	return members, nil
}

// A checker reads members of a body and gathers what is wrong with them, so
// that a caller learns everything at once.
type checker struct {
	members map[string]json.RawMessage
	wrong   []string
}

func (c *checker) complain(name, what string) { c.wrong = append(c.wrong, name+" "+what) }

// require complains about members that are not given.
func (c *checker) require(names ...string) {
	for _, name := range names {
		if _, ok := c.members[name]; !ok {
			c.complain(name, "is missing")
		}
	}
}

// text returns a text of 1 to most characters, or nil if it is not given.
func (c *checker) text(name string, most int) *string {
	raw, ok := c.members[name]
	if !ok {
		return nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		c.complain(name, "must be a text")
		return nil
	}
	switch {
	case strings.TrimSpace(*s) == "" || utf8.RuneCountInString(*s) > most:
		c.complain(name, fmt.Sprintf("must have 1 to %d characters", most))
	case strings.ContainsFunc(*s, unicode.IsControl):
		c.complain(name, "must be one line without control characters")
	}
	return s
}

// oneOf returns one of the allowed values, or nil if it is not given.
func (c *checker) oneOf(name string, allowed []string) *string {
	raw, ok := c.members[name]
	if !ok {
		return nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || !slices.Contains(allowed, s) {
		c.complain(name, "must be one of: "+strings.Join(allowed, ", "))
	}
	return &s
}

// email returns an e-mail address, or nil if it is not given.
func (c *checker) email(name string) *string {
	s := c.text(name, maxEmail)
	if s == nil {
		return nil
	}
	a, err := mail.ParseAddress(*s)
	ascii := !strings.ContainsFunc(*s, func(r rune) bool { return r > unicode.MaxASCII })
	if err != nil || a.Address != *s || !ascii {
		c.complain(name, "must be an e-mail address such as ana@example.com")
	}
	return s
}

// amount returns a number from 1 to most, or 0 if it is not given.
func (c *checker) amount(name string, most int64) int64 {
	raw, ok := c.members[name]
	if !ok {
		return 0
	}
	var n int64
	if err := json.Unmarshal(raw, &n); err != nil || n < 1 || n > most {
		c.complain(name, fmt.Sprintf("must be a whole number from 1 to %d", most))
	}
	return n
}

// result is nil when nothing was wrong.
func (c *checker) result() error {
	if len(c.wrong) == 0 {
		return nil
	}
	return refuse(http.StatusUnprocessableEntity, strings.Join(c.wrong, "; "))
}
