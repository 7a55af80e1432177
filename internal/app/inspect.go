package app

import (
	"gatehouse/internal/catalog"
	"gatehouse/internal/inspect"
)

// inspect makes the recorder of messages. A gateway whose store is its own keeps
// none: nobody could see them with the rest of their flow.
func (a *App) inspect(apis []*catalog.API) {
	if a.store == nil || a.config.alone() {
		return
	}
	r := &inspect.Recorder{Store: a.store, Everything: a.config.demo != nil, Targets: []string{a.config.Issuer()}, Scopes: []string{"openid", "profile"}, Failed: a.recordingChanged}
	for _, api := range apis {
		r.Targets = append(r.Targets, api.Resource, api.Audience)
		for name := range api.Scopes {
			r.Scopes = append(r.Scopes, name)
		}
	}
	a.inspector = inspect.New(r)
}

// recordingChanged tells operators that messages cannot be recorded, or can
// again. Lines of their own: no request is to blame, and none waited.
func (a *App) recordingChanged(err error) {
	if err != nil {
		a.options.Log.Warn("messages for the inspector cannot be stored; they are lost until they can", "error", err)
		return
	}
	a.options.Log.Info("messages for the inspector are stored again")
}
