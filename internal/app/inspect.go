package app

import (
	"gatehouse/internal/catalog"
	"gatehouse/internal/gateway"
	"gatehouse/internal/inspect"
	"gatehouse/internal/resource"
)

// inspect makes the recorder of messages. A gateway whose store is its own puts
// them where the rest of their flow is, at the authorization server.
func (a *App) inspect(apis []*catalog.API) error {
	if a.store == nil {
		return nil
	}
	var sink inspect.Sink = a.store
	if a.config.alone() {
		id, signer, err := a.gatewayIdentity()
		if err != nil {
			return err
		}
		issuer := a.config.URLs.AuthServer
		sink = &gateway.MessageSink{Server: &resource.AuthorizationServer{Issuer: issuer, ClientID: id, Signer: signer, Client: a.peers}, Endpoint: issuer + "/messages"}
	}
	r := &inspect.Recorder{Store: sink, Everything: a.config.demo != nil, Targets: []string{a.config.Issuer()}, Scopes: []string{"openid", "profile"}, Failed: a.recordingChanged}
	for _, api := range apis {
		r.Targets = append(r.Targets, api.Resource, api.Audience)
		for name := range api.Scopes {
			r.Scopes = append(r.Scopes, name)
		}
	}
	a.inspector = inspect.New(r)
	return nil
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
