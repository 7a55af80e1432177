package app

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/page"
	"gatehouse/internal/secret"
)

// Bounds of the scenes on the demo's start page.
const (
	sceneTime = 20 * time.Second
	keptRuns  = 24
)

// stageDoor is the demo's start page, with the scenes that are played there.
type stageDoor struct {
	app     *App
	pages   *page.Set
	drawing *inspect.Drawing
	limit   *httpserver.Limiter // by address
	playing sync.Mutex          // one scene at a time

	mu   sync.Mutex
	runs []sceneRun // newest last
}

// sceneRun is a scene that was played.
type sceneRun struct {
	id    string
	scene scene
	lines []string
	quote []string
	link  string
	flow  inspect.Flow
	err   error
}

// SceneView fills scene.html: what was played, beside its messages.
type SceneView struct {
	Host    string
	ID      string
	Title   string
	Text    string
	Lines   []string      // what happened, in sentences
	Quote   []string      // what a page said to the person
	Link    string        // where the visitor can see that page
	Flow    template.HTML // drawn by package inspect
	Problem string
}

// home serves the demo's start page and its scenes.
func (a *App) home() (http.Handler, error) {
	set, err := page.Parse(homePages, "pages/*.html")
	if err != nil {
		return nil, err
	}
	drawing, err := inspect.NewDrawing()
	if err != nil {
		return nil, err
	}
	d := &stageDoor{app: a, pages: set, drawing: drawing, limit: &httpserver.Limiter{Every: 2 * time.Second, Burst: 12, MaxKeys: 1000}}
	view := DemoView(&a.config)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { d.render(w, r, http.StatusOK, "home.html", view) })
	mux.HandleFunc("POST /scenes/{name}", d.play)
	mux.HandleFunc("GET /scenes/{id}", d.show)
	mux.HandleFunc("GET /scenes/{id}/export", d.export)
	mux.Handle("GET /assets/", page.Assets())
	return http.NewCrossOriginProtection().Handler(mux), nil
}

func (d *stageDoor) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	if err := d.pages.Render(w, status, name, view); err != nil {
		httpserver.Note(r.Context(), "page", err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (d *stageDoor) problem(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	d.render(w, r, status, "scene.html", SceneView{Host: DemoView(&d.app.config).Host, Title: title, Problem: text})
}

// play runs a scene and leads to what came of it.
func (d *stageDoor) play(w http.ResponseWriter, r *http.Request) {
	all := scenes()
	i := slices.IndexFunc(all, func(s scene) bool { return s.name == r.PathValue("name") })
	if i < 0 {
		d.problem(w, r, http.StatusNotFound, "There is no such scene", "Go back to the start page and choose one.")
		return
	}
	if ok, _ := d.limit.Allow(httpserver.ClientKey(httpserver.ClientAddr(r))); !ok || !d.playing.TryLock() {
		d.problem(w, r, http.StatusTooManyRequests, "Another scene is being played", "Nothing was begun. Go back and try again in a few seconds.")
		return
	}
	defer d.playing.Unlock()
	run := d.app.perform(r.Context(), all[i])
	if run.err != nil {
		httpserver.Note(r.Context(), "scene", run.err)
	}
	d.mu.Lock()
	d.runs = append(d.runs, run)
	d.runs = d.runs[max(0, len(d.runs)-keptRuns):]
	d.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, d.app.config.demo.home+"/scenes/"+run.id, http.StatusSeeOther)
}

func (d *stageDoor) find(id string) (sceneRun, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.runs, func(r sceneRun) bool { return r.id == id })
	if i < 0 {
		return sceneRun{}, false
	}
	return d.runs[i], true
}

// show shows a scene that was played.
func (d *stageDoor) show(w http.ResponseWriter, r *http.Request) {
	run, ok := d.find(r.PathValue("id"))
	if !ok {
		d.problem(w, r, http.StatusNotFound, "This scene is not kept any more", "Go back to the start page and play it again.")
		return
	}
	view := SceneView{Host: DemoView(&d.app.config).Host, ID: run.id, Title: run.scene.title, Text: run.scene.text, Lines: run.lines, Quote: run.quote, Link: run.link}
	if run.err != nil {
		view.Problem = "The scene broke off: " + run.err.Error() + "."
	}
	var err error
	if view.Flow, err = d.drawing.Flow(run.flow); err != nil {
		httpserver.Note(r.Context(), "page", err)
	}
	d.render(w, r, http.StatusOK, "scene.html", view)
}

// export sends the messages of a scene as a file.
func (d *stageDoor) export(w http.ResponseWriter, r *http.Request) {
	run, ok := d.find(r.PathValue("id"))
	if !ok {
		d.problem(w, r, http.StatusNotFound, "This scene is not kept any more", "Go back to the start page and play it again.")
		return
	}
	if err := d.drawing.Save(w, run.scene.title, run.flow); err != nil {
		httpserver.Note(r.Context(), "page", err)
	}
}

// perform plays a scene, collects its messages, and leaves nothing behind that
// it allowed.
func (a *App) perform(ctx context.Context, s scene) sceneRun {
	ctx, cancel := context.WithTimeout(ctx, sceneTime)
	defer cancel()
	run, began := sceneRun{id: secret.ID(), scene: s}, time.Now()
	st := &stage{ctx: ctx, app: a, thief: &thief{RoundTripper: a.peers.Transport, agent: "gatehouse-scene/" + run.id}}
	run.err = s.play(st)
	run.lines, run.quote, run.link = st.lines, st.quote, st.link
	settle, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	_ = a.inspector.Settle(settle) // what is late is missing from a picture, no more
	if st.clientID == "" {
		return run
	}
	all, err := a.store.Messages(ctx, inspect.Filter{ClientID: st.clientID, Since: began})
	run.flow = inspect.Run(all, st.clientID)
	run.err = errors.Join(run.err, err)
	if !st.stays {
		run.err = errors.Join(run.err, a.tidy(context.WithoutCancel(ctx), st.clientID))
	}
	return run
}

// tidy ends what a scene's agent was allowed, and forgets the agent.
func (a *App) tidy(ctx context.Context, clientID string) error {
	entry := audit.Entry{ClientID: clientID, Reason: "the scene on the demo's start page is over"}
	err := recorded(ctx, a.store, entry, func() error {
		_, err := a.store.EndClient(ctx, clientID, time.Now())
		return err
	})
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return fmt.Errorf("tidy up after the scene: %w", err)
	}
	return nil
}

// thief carries an agent's requests, and keeps the token that it sees, as
// somebody would who broke into the agent.
type thief struct {
	http.RoundTripper
	agent string // the program that it says it is

	mu    sync.Mutex
	token string
}

// RoundTrip implements http.RoundTripper.
func (t *thief) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", t.agent)
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		t.mu.Lock()
		t.token = token
		t.mu.Unlock()
	}
	return t.RoundTripper.RoundTrip(r)
}

func (t *thief) stolen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}
