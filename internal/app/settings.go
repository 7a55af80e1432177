package app

import (
	_ "embed" // for what each key means
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/admin"
)

// settingsText has a line for each key of the configuration: the key, a tab,
// what it means. It is written from this package's comments, like
// docs/configuration.md.
//
//go:embed settings.txt
var settingsText string

// settings is the configuration as the console shows it.
func (a *App) settings() (admin.Settings, error) {
	c := &a.config
	s := admin.Settings{Version: a.options.Version, Data: c.Path(c.Data), Since: a.started, Groups: c.groups()}
	for _, role := range []string{roleAuthServer, roleGateway, roleAPI, roleAdmin, roleAgent} {
		if c.plays(role) {
			s.Roles = append(s.Roles, role)
		}
	}
	dsn, err := c.store()
	if err != nil {
		return s, err
	}
	s.Engine = "PostgreSQL"
	if strings.HasPrefix(dsn, "sqlite:") {
		s.Engine = "SQLite"
	}
	return s, nil
}

// groups lists every key with its value, masked.
func (c *Config) groups() []admin.SettingGroup {
	meanings := map[string]string{}
	for line := range strings.Lines(settingsText) {
		key, meaning, _ := strings.Cut(strings.TrimSpace(line), "\t")
		meanings[key] = meaning
	}
	var groups []admin.SettingGroup
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if key == "" {
			continue // no key of the file
		}
		l := lister{meanings: meanings}
		l.list(key, key, v.Field(i))
		groups = append(groups, admin.SettingGroup{Name: key, Rows: l.rows})
	}
	return groups
}

// lister walks through a configuration. A style rule forbids reflection; here
// it is what keeps a new key from being forgotten, or shown unmasked.
type lister struct {
	meanings map[string]string // by the key with [] for each element and NAME for each name
	rows     []admin.Setting
}

// list adds the rows of a value at a path; kind is the path as meanings have it.
func (l *lister) list(at, kind string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			l.add(at, kind)
			return
		}
		l.list(at, kind, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
				l.list(at+"."+key, kind+"."+key, v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			l.add(at, kind)
			return
		}
		if v.Type().Elem().Kind() == reflect.String {
			l.add(at, kind, v.Interface().([]string)...)
			return
		}
		for i := range v.Len() {
			l.list(fmt.Sprintf("%s[%d]", at, i), kind+"[]", v.Index(i))
		}
	case reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		if v.Type().Elem().Kind() != reflect.String {
			kind += ".NAME"
		}
		for _, name := range names {
			l.list(at+"."+name.String(), kind, v.MapIndex(name))
		}
	case reflect.String:
		l.add(at, kind, v.String())
	case reflect.Bool:
		l.add(at, kind, strconv.FormatBool(v.Bool()))
	default:
		l.rows = append(l.rows, admin.Setting{Key: at, Masked: true, Meaning: l.meanings[kind]})
	}
}

func (l *lister) add(at, kind string, values ...string) {
	row := admin.Setting{Key: at, Meaning: l.meanings[kind]}
	for _, value := range values {
		if value == "" {
			continue
		}
		shown, ok := harmless(kind, value)
		if !ok {
			row.Values, row.Masked = nil, true
			break
		}
		row.Values = append(row.Values, shown)
	}
	l.rows = append(l.rows, row)
}

// secretKeys name what is a secret unless it is a reference to one.
var secretKeys = []string{"key", "keys", "client_secret"}

// harmless returns a value as it can be shown: a reference as it is, never what
// it leads to; a URL without its user, query and fragment. It reports false for
// what is a secret or might be one.
func harmless(kind, value string) (string, bool) {
	key := kind[strings.LastIndexByte(kind, '.')+1:]
	switch {
	case strings.HasPrefix(value, "env:"), strings.HasPrefix(value, "file:"):
		return value, true
	case slices.Contains(secretKeys, key), strings.Contains(value, "-----BEGIN"), strings.HasPrefix(strings.TrimSpace(value), "{"):
		return "", false
	case kind == "store" && !strings.HasPrefix(value, "sqlite:") && !strings.Contains(value, "://"):
		return "", false
	case !strings.Contains(value, "://"):
		return value, true
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return "", false
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), true
}
