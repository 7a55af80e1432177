package admin

import (
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

const keysPath = "/admin/keys"

func (s *Server) keyRoutes() []Route {
	return []Route{
		{"GET /admin/keys", Reading, s.showKeys},
		{"GET /admin/keys/{algorithm}/rotate", ChangingBy, s.showRotate},
		{"POST /admin/keys/{algorithm}/rotate", ChangingBy, s.rotate},
	}
}

// keyLine is a signing key at a moment. It has nothing of the key itself.
type keyLine struct {
	ID               string
	Made, From, Last time.Time // Last: it is published until then; zero: no end is known
	Signs            bool      // it is the one that signs
	Waits            bool      // it is published, and signs later
	Gone             bool      // it is published no more
}

// keyGroup is the keys of one algorithm.
type keyGroup struct {
	Algorithm string
	Keys      []keyLine // newest first
}

type keysView struct {
	frame
	Groups []keyGroup
	Done   string // audit entry of what was just done
}

type rotateView struct {
	frame
	Algorithm   string
	Now         []keyLine
	From, Until time.Time // of the gentle way
	Compromised bool
	Reason      string
	Problem     string
}

// groups sorts keys as they are now. Which one signs is decided as the
// authorization server does: the newest that may.
func groups(keys []jose.StoredKey, now time.Time) []keyGroup {
	var list []keyGroup
	for _, algorithm := range []string{jose.ES256, jose.RS256} {
		g, signs, best := keyGroup{Algorithm: algorithm}, -1, int64(0)
		for i := len(keys) - 1; i >= 0; i-- {
			k := keys[i]
			if k.Algorithm != algorithm {
				continue
			}
			line := keyLine{ID: k.KeyID, Made: time.Unix(k.CreatedAt, 0), From: time.Unix(k.SignsFrom, 0), Waits: k.SignsFrom > now.Unix()}
			if k.PublishedUntil != 0 {
				line.Last = time.Unix(k.PublishedUntil, 0)
				line.Gone = k.PublishedUntil <= now.Unix()
			}
			g.Keys = append(g.Keys, line)
			if !line.Waits && !line.Gone && (signs < 0 || k.SignsFrom > best) {
				signs, best = len(g.Keys)-1, k.SignsFrom
			}
		}
		if signs >= 0 {
			g.Keys[signs].Signs = true
		}
		if len(g.Keys) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// showKeys tells which keys sign, and what that means.
func (s *Server) showKeys(w http.ResponseWriter, r *http.Request, v visit) error {
	keys, err := s.Acts.Keys.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	view := keysView{frame: s.frame(v, keysPath), Groups: groups(keys, time.Now())}
	if done := r.URL.Query().Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	return s.pages.Render(w, http.StatusOK, "keys.html", view)
}

// showRotate shows what is and what would be.
func (s *Server) showRotate(w http.ResponseWriter, r *http.Request, v visit) error {
	typed := s.kept(w, r, v)
	return s.rotatePage(w, r, v, http.StatusOK, rotateView{Compromised: typed.Get("way") == "compromised", Reason: typed.Get("reason")})
}

func (s *Server) rotatePage(w http.ResponseWriter, r *http.Request, v visit, status int, view rotateView) error {
	keys, err := s.Acts.Keys.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	view.frame, view.Algorithm = s.frame(v, keysPath), r.PathValue("algorithm")
	for _, g := range groups(keys, now) {
		if g.Algorithm != view.Algorithm {
			continue
		}
		for _, k := range g.Keys {
			if !k.Gone {
				view.Now = append(view.Now, k)
			}
		}
		view.From, view.Until = s.Acts.Rotation.plan(false, now)
		return s.pages.Render(w, status, "rotate.html", view)
	}
	return errNothing
}

// rotate replaces a key in one of the two ways.
func (s *Server) rotate(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	way, reason := form.Get("way"), form.Get("reason")
	if way != "gently" && way != "compromised" {
		return s.rotatePage(w, r, v, http.StatusConflict, rotateView{Reason: reason, Problem: "Nothing was changed: choose one of the two ways."})
	}
	_, entry, err := s.Acts.RotateKey(r.Context(), by(r, v), r.PathValue("algorithm"), way == "compromised", reason)
	if problem := Refusal(err); problem != "" {
		return s.rotatePage(w, r, v, http.StatusConflict, rotateView{Compromised: way == "compromised", Reason: reason, Problem: problem})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, keysPath+"?"+url.Values{"done": {entry}}.Encode(), http.StatusSeeOther)
	return nil
}
