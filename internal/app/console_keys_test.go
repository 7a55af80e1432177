package app_test

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/account"
	"gatehouse/internal/app"
	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
)

// The page tells which key signs; a key is replaced gently, or at once because
// it is compromised, with a reason and a fresh sign-in; nothing of the private
// halves is on a page.
func TestConsoleKeys(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.signIn()
	before, err := d.store().SigningKeys(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	old := before[0].KeyID
	d.sees(d.get("/admin/keys"), 200, "ES256", "signs", "no end is known")
	if !strings.Contains(d.get("/admin/keys").Body, old) {
		t.Error("the page does not name the key")
	}

	form := d.get("/admin/keys/ES256/rotate")
	d.sees(form, 200, "No request fails", "APIs refuse what they signed")
	d.sees(form.Submit("act=rotate", nil), 409, "a reason is missing")
	d.sees(form.Submit("act=rotate", url.Values{"way": {"anyhow"}, "reason": {"x"}}), 409, "choose one of the two ways")
	d.sees(follow(form.Submit("act=rotate", url.Values{"reason": {"once a year"}})), 200, "Done.", "published, signs later")
	e := d.newest("signing key rotated from the console: once a year")
	if e.Outcome != audit.Done || e.Detail["alg"] != "ES256" || e.Detail["by"] == "" || e.Detail["kid"] == old {
		t.Errorf("audit: %+v", e)
	}
	after, err := d.store().SigningKeys(t.Context())
	slices.SortFunc(after, func(a, b jose.StoredKey) int { return cmp.Compare(a.SignsFrom, b.SignsFrom) }) // made in one second, perhaps
	if err != nil || len(after) != 2 || after[1].SignsFrom <= after[1].CreatedAt || after[0].PublishedUntil <= after[1].SignsFrom {
		t.Fatalf("after a gentle rotation: %d keys, %v", len(after), err)
	}

	d.sees(follow(form.Submit("act=rotate", url.Values{"way": {"compromised"}, "reason": {"a lost backup"}})), 200, "Done.", "published no more")
	d.newest("signing key replaced at once from the console: a lost backup")
	keys, err := d.store().SigningKeys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("%v, %v", keys, err)
	}
	page := d.get("/admin/keys").Body + form.Body
	signing := 0
	for _, k := range keys {
		if k.SignsFrom == k.CreatedAt && k.PublishedUntil == 0 {
			signing++
		}
		_, private, _ := strings.Cut(string(k.Private), `"d":"`)
		private, _, _ = strings.Cut(private, `"`)
		if len(private) < 40 || strings.Contains(page, private) {
			t.Errorf("key %s: its private half %d bytes, or it is on a page", k.KeyID, len(private))
		}
	}
	if signing != 1 {
		t.Errorf("%d keys sign", signing)
	}
	if p := d.get("/admin/keys/RS256/rotate"); p.Status != http.StatusNotFound {
		t.Errorf("an algorithm that is not used: %d", p.Status)
	}
}

// Auditors see the keys and replace none.
func TestAuditorsReplaceNoKey(t *testing.T) {
	d := startConsole(t, app.DemoOptions{})
	d.person("aud", account.Auditor)
	b := d.signInAs("aud", somePassword)
	at := d.config.URLs.Admin + "/admin/keys"
	d.sees(b.Get(at), 200, "ES256")
	d.sees(b.Get(at+"/ES256/rotate"), 403, "Auditors change nothing")
	d.sees(b.Post(at, at+"/ES256/rotate", url.Values{"way": {"compromised"}, "reason": {"mine"}}), 403, "Auditors change nothing")
	if keys, err := d.store().SigningKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}
