package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/oauth"
)

// Errors of Documents.
var (
	ErrNoDocument      = errors.New("there is no such API, or it has no document of its own")
	ErrDocumentChanged = errors.New("the document has changed once more")
)

// Draft is the document of an API as its file has it now.
type Draft struct {
	API     *catalog.API // nil with a Problem
	Problem error        // why it cannot go live
	Digest  string       // SHA-256, in hex
	Live    string       // that of the document that is live
}

// Documents are those of the configured APIs.
type Documents interface {
	// Look reads an API's document anew; ErrNoDocument.
	Look(ctx context.Context, api string) (Draft, error)
	// TakeLive makes the document with this digest the live one, everywhere;
	// ErrDocumentChanged if the file is another by now.
	TakeLive(ctx context.Context, api, digest string) error
}

// TakeLive makes a document that somebody has looked at the live one.
func (a *Acts) TakeLive(ctx context.Context, by Actor, api, digest, reason string) (entry string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", refuse("a reason is missing; say in a few words why")
	}
	about := audit.Entry{API: api, Detail: map[string]string{"sha256": digest}}
	return a.record(ctx, by, "document taken live", reason, about, func() error {
		err := a.Documents.TakeLive(ctx, api, digest)
		if errors.Is(err, ErrDocumentChanged) {
			err = refuse("the document has changed since you looked at it; look again")
		}
		return err
	})
}

func (s *Server) documentRoutes() []Route {
	return []Route{
		{"GET /admin/apis/{api}/document", Reading, s.showDocument},
		{"GET /admin/apis/{api}/live", ChangingBy, s.showLive},
		{"POST /admin/apis/{api}/live", ChangingBy, s.takeLive},
	}
}

// documentView shows what a document that is not live would change.
type documentView struct {
	frame
	API     apiLine
	Draft   Draft
	Same    bool
	Changes []catalog.Change
	Opens   int // changes by which an agent can do more
	Skipped []catalog.Skipped
	Reason  string
	Problem string
	Done    string
}

func (s *Server) documentPage(w http.ResponseWriter, r *http.Request, v visit, status int, name, reason, problem string) error {
	a, err := s.api(r.PathValue("api"))
	if err != nil {
		return err
	}
	draft, err := s.Acts.Documents.Look(r.Context(), a.Name)
	if errors.Is(err, ErrNoDocument) {
		return errNothing
	}
	if err != nil {
		draft.Problem = err
	}
	view := documentView{frame: s.frame(v, apisPath), API: apiLine{Name: a.Name, Title: a.Title}, Draft: draft, Same: err == nil && draft.Digest == draft.Live, Reason: reason, Problem: problem}
	if draft.API != nil {
		view.Changes, view.Skipped = catalog.Diff(a, draft.API), draft.API.Skipped
	}
	for _, c := range view.Changes {
		if c.Opens {
			view.Opens++
		}
	}
	if done := r.URL.Query().Get("done"); isID.MatchString(done) {
		view.Done = done
	}
	return s.pages.Render(w, status, name, view)
}

func (s *Server) showDocument(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.documentPage(w, r, v, http.StatusOK, "document.html", "", "")
}

func (s *Server) showLive(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.documentPage(w, r, v, http.StatusOK, "live.html", s.kept(w, r, v).Get("reason"), "")
}

func (s *Server) takeLive(w http.ResponseWriter, r *http.Request, v visit) error {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return err
	}
	a, err := s.api(r.PathValue("api"))
	if err != nil {
		return err
	}
	entry, err := s.Acts.TakeLive(r.Context(), s.actor(r, v), a.Name, form.Get("digest"), form.Get("reason"))
	if problem := Refusal(err); problem != "" {
		return s.documentPage(w, r, v, http.StatusConflict, "live.html", form.Get("reason"), problem)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, apisPath+"/"+url.PathEscape(a.Name)+"/document?"+url.Values{"done": {entry}}.Encode(), http.StatusSeeOther)
	return nil
}
