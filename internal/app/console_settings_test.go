package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/account"
	"gatehouse/internal/app"
)

// plant sets every text of a configuration, also below what is empty, and
// returns how many there are.
func plant(v reflect.Value, text string) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return plant(v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") != "" {
				n += plant(v.Field(i), text)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			n += plant(v.Index(i), text)
		}
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		n = plant(value, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("users:read"), value)
	case reflect.String:
		v.SetString(text)
		return 1
	}
	return n
}

// A secret that is planted in every value of the configuration, in each form in
// which one can be there, is nowhere on the settings page.
func TestSettingsShowNoSecret(t *testing.T) {
	const secret = "PLANTED-4f7d"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEHOUSE_TEST_PLANTED", secret)
	for _, text := range []string{
		"env:GATEHOUSE_TEST_PLANTED", "file:" + file,
		"postgres://gatehouse:" + secret + "@db.internal/gatehouse", "postgres://" + secret + "@db.internal/gatehouse",
		"postgres://db.internal/gatehouse?password=" + secret + "&sslpassword=" + secret,
		"https://u:" + secret + "@login.example.com/path?token=" + secret + "#" + secret,
		"https://login.example.com:" + secret + "@[", "postgres://%zz:" + secret + "@h/d",
		"-----BEGIN PRIVATE KEY-----\n" + secret, `{"kty":"EC","d":"` + secret + `"}`, ` {"d":"` + secret + `"}`,
	} {
		var c app.Config
		planted := plant(reflect.ValueOf(&c).Elem(), text)
		shown := 0
		for _, g := range app.SettingGroups(&c) {
			for _, row := range g.Rows {
				if strings.Contains(fmt.Sprint(row), secret) {
					t.Errorf("%s shows %v for %s", row.Key, row.Values, text)
				}
				if row.Meaning == "" {
					t.Errorf("%s has no meaning", row.Key)
				}
				if shown += len(row.Values); row.Masked {
					shown++
				}
			}
		}
		if planted < 40 || shown < planted/2 {
			t.Errorf("%s: planted in %d values, %d on the page", text, planted, shown)
		}
	}
	// What is not a reference where a secret belongs is not shown, however it looks.
	var c app.Config
	plant(reflect.ValueOf(&c).Elem(), secret)
	for _, g := range app.SettingGroups(&c) {
		for _, row := range g.Rows {
			last := row.Key[strings.LastIndexByte(row.Key, '.')+1:]
			if (last == "key" || last == "keys" || last == "client_secret" || last == "store") && (!row.Masked || len(row.Values) > 0) {
				t.Errorf("%s shows %v", row.Key, row.Values)
			}
		}
	}
}

// The page tells what holds, to auditors, too.
func TestConsoleSettings(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.person("aud", account.Auditor)
	p := d.signInAs("aud", somePassword).Get(d.config.URLs.Admin + "/admin/settings")
	d.sees(p, 200, "SQLite", "authserver", "gateway", d.config.URLs.Gateway, "apis[0].name", "customers", "not set", d.config.Data, "The issuer: sign-in, consent, tokens.")
}
