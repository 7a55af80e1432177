package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
)

// builder makes a role for APIs as their documents have them.
type builder func(context.Context, []*catalog.API) (http.Handler, error)

// live is what follows the documents of APIs: roles are built anew when one of
// them changes, and take over between two requests.
type live struct {
	mu      sync.Mutex
	roles   []*role
	apis    []*catalog.API    // that the roles serve
	digests map[string]string // of their documents
	bodies  map[string][]byte // of their documents, for gateways in other processes
	failed  map[string]string // of documents that could not be served
}

// role is one that changes.
type role struct {
	current atomic.Pointer[http.Handler]
	build   builder
}

func (r *role) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	(*r.current.Load()).ServeHTTP(w, req)
}

// hold returns a role that changes with the documents, if it does.
func (l *live) hold(h http.Handler, name string, build builder) http.Handler {
	if !slices.Contains([]string{roleAuthServer, roleGateway, roleAdmin}, name) {
		return h
	}
	r := &role{build: build}
	r.current.Store(&h)
	l.roles = append(l.roles, r)
	return r
}

func digest(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// startDocuments derives the tools of every API from its document as it is now.
// With the authorization server here these documents are the installation's:
// to start with others is an act of whoever may change the files, and is
// recorded.
func (a *App) startDocuments(ctx context.Context) ([]*catalog.API, error) {
	apis, err := Catalog(&a.config)
	if err != nil {
		return nil, err
	}
	a.live.apis, a.live.digests, a.live.bodies, a.live.failed = apis, map[string]string{}, map[string][]byte{}, map[string]string{}
	for _, api := range a.config.APIs {
		document, err := a.config.document(api)
		if err != nil {
			return nil, err
		}
		a.live.digests[api.Name], a.live.bodies[api.Name] = digest(document), document
		if !a.config.plays(roleAuthServer) {
			continue
		}
		entry := audit.Entry{API: api.Name, Reason: "document went live at a start", Detail: map[string]string{"sha256": digest(document)}}
		if err := a.putDocument(ctx, api.Name, document, entry); err != nil {
			return nil, err
		}
	}
	return apis, nil
}

// putDocument makes a document the live one; a start that changes nothing is
// not recorded.
func (a *App) putDocument(ctx context.Context, api string, document []byte, entry audit.Entry) error {
	digests, err := a.store.Digests(ctx)
	if err != nil {
		return err
	}
	if digests[api] == digest(document) {
		return nil
	}
	if digests[api] == "" { // the first start
		_, err := a.store.PutDocument(ctx, api, digest(document), document, time.Now())
		return err
	}
	return recorded(ctx, a.store, entry, func() error {
		_, err := a.store.PutDocument(ctx, api, digest(document), document, time.Now())
		return err
	})
}

// liveDocuments are what the authorization server gives gateways in other
// processes. What is a part of the program they have themselves.
func (a *App) liveDocuments(apis []*catalog.API) map[string]authserver.Document {
	documents := map[string]authserver.Document{}
	for _, api := range apis {
		if !api.Administration {
			documents[api.Resource] = authserver.Document{Digest: a.live.digests[api.Name], Body: a.live.bodies[api.Name]}
		}
	}
	return documents
}

// liveNow returns the digests of what is live, by API: in the store, or for a
// gateway alone at the authorization server.
func (a *App) liveNow(ctx context.Context) (map[string]string, error) {
	if !a.config.alone() {
		return a.store.Digests(ctx)
	}
	digests, told := map[string]string{}, a.feed.Documents()
	for _, api := range a.live.apis {
		digests[api.Name] = told[api.Resource]
	}
	return digests, nil
}

// liveDocument returns what is live of an API.
func (a *App) liveDocument(ctx context.Context, api *catalog.API) (sum string, document []byte, err error) {
	if !a.config.alone() {
		return a.store.Document(ctx, api.Name)
	}
	status, document, err := a.feed.Server.PostFor(ctx, a.config.URLs.AuthServer+"/document", url.Values{"resource": {api.Resource}}, documentTimeout, maxDocument)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the authorization server answers %d", status)
	}
	return digest(document), document, err
}

// documentTimeout bounds the fetch of a document.
const documentTimeout = 20 * time.Second

// followDocuments serves what another process, or the console here, took live.
func (a *App) followDocuments(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.serveLive(ctx); err != nil && ctx.Err() == nil {
			// A line of its own: no request is to blame.
			a.options.Log.Error("a document that went live cannot be served here; the one before it still is", "error", err)
		}
	}
}

// serveLive builds the roles anew if a document is live that they do not serve.
// A document that could not be served is not tried again.
func (a *App) serveLive(ctx context.Context) error {
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	digests, err := a.liveNow(ctx)
	if err != nil {
		return err
	}
	apis, served, bodies := slices.Clone(a.live.apis), maps.Clone(a.live.digests), maps.Clone(a.live.bodies)
	changed := false
	for i, configured := range a.config.APIs {
		now := digests[configured.Name]
		if now == "" || now == served[configured.Name] || now == a.live.failed[configured.Name] {
			continue
		}
		sum, document, err := a.liveDocument(ctx, apis[i])
		if err != nil {
			return fmt.Errorf("read the document of %s: %w", configured.Name, err)
		}
		a.live.failed[configured.Name] = sum
		api, err := a.config.compile(configured, document)
		if err != nil {
			return fmt.Errorf("document %s of %s: %w", sum, configured.Name, err)
		}
		apis[i], served[configured.Name], bodies[configured.Name], changed = api, sum, document, true
	}
	if !changed {
		return nil
	}
	before, were := a.live.digests, a.live.bodies
	a.live.digests, a.live.bodies = served, bodies
	if err := a.rebuild(ctx, apis); err != nil {
		a.live.digests, a.live.bodies = before, were
		return err
	}
	clear(a.live.failed)
	return nil
}

// rebuild is called with live.mu held.
func (a *App) rebuild(ctx context.Context, apis []*catalog.API) error {
	fresh := make([]http.Handler, len(a.live.roles))
	for i, r := range a.live.roles {
		h, err := r.build(ctx, apis)
		if err != nil {
			return err
		}
		fresh[i] = h
	}
	for i, r := range a.live.roles {
		r.current.Store(&fresh[i])
	}
	a.live.apis = apis
	return nil
}

// documents is how the console looks at documents.
type documents struct{ *App }

// Look implements admin.Documents.
func (d documents) Look(_ context.Context, name string) (admin.Draft, error) {
	i := slices.IndexFunc(d.config.APIs, func(a API) bool { return a.Name == name && !a.administration })
	if i < 0 {
		return admin.Draft{}, admin.ErrNoDocument
	}
	document, err := d.config.document(d.config.APIs[i])
	if err != nil {
		return admin.Draft{}, err
	}
	d.live.mu.Lock()
	draft := admin.Draft{Digest: digest(document), Live: d.live.digests[name]}
	d.live.mu.Unlock()
	draft.API, draft.Problem = d.config.compile(d.config.APIs[i], document)
	return draft, nil
}

// TakeLive implements admin.Documents.
func (d documents) TakeLive(ctx context.Context, name, sum string) error {
	draft, err := d.Look(ctx, name)
	switch {
	case err != nil:
		return err
	case draft.Problem != nil:
		return draft.Problem
	case draft.Digest != sum:
		return admin.ErrDocumentChanged
	}
	i := slices.IndexFunc(d.config.APIs, func(a API) bool { return a.Name == name })
	document, err := d.config.document(d.config.APIs[i])
	if err != nil {
		return err
	}
	if digest(document) != sum { // between the two readings
		return admin.ErrDocumentChanged
	}
	if _, err := d.store.PutDocument(ctx, name, sum, document, time.Now()); err != nil {
		return err
	}
	return d.serveLive(context.WithoutCancel(ctx))
}
