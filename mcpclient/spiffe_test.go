package mcpclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse/mcpclient"
)

// workloadAPI is an agent of SPIFFE: gRPC's own server with go-spiffe's messages.
type workloadAPI struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	refuse error
	svids  []*workload.JWTSVID
	asked  atomic.Int32
}

func (w *workloadAPI) FetchJWTSVID(ctx context.Context, r *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("workload.spiffe.io")) != 1 || md.Get("workload.spiffe.io")[0] != "true" {
		return nil, status.Error(codes.InvalidArgument, "security header missing from request")
	}
	if w.refuse != nil {
		return nil, w.refuse
	}
	n := w.asked.Add(1)
	if w.svids != nil {
		return &workload.JWTSVIDResponse{Svids: w.svids}, nil
	}
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{
		{SpiffeId: "spiffe://example.org/nightly", Svid: fmt.Sprint("svid-", n, "-for-", strings.Join(r.Audience, ",")), Hint: "internal"},
		{SpiffeId: "spiffe://example.org/other", Svid: "other"},
	}}, nil
}

func (w *workloadAPI) start(t *testing.T) (address string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(s, w)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "unix://" + path
}

// A workload is who its agent says, anew for each token and towards the issuer
// alone; no client authentication goes along, and the trace shows no SVID (MCP
// auth/wif; R-CL-14, R-CL-19; security.md 9).
func TestSPIFFE(t *testing.T) {
	as := newAuthServer(t)
	m := newResource(t, as)
	as.expires = 1 // so that each call needs another token
	var assertions []string
	as.token = func(w http.ResponseWriter, form url.Values) bool {
		if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || form.Get("resource") != m.URL || form.Has("client_id") || form.Has("client_assertion") {
			t.Errorf("the token request was %v", form)
		}
		assertions = append(assertions, form.Get("assertion"))
		access := fmt.Sprint("access-", len(assertions))
		as.valid[access] = "read"
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": as.expires})
		return true
	}
	agent := &workloadAPI{}
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", agent.start(t))
	var shown traced
	c := &mcpclient.Client{Assertion: mcpclient.SPIFFE(""), Trace: shown.add}
	for range 2 {
		if err := call(t, c, m.URL); err != nil {
			t.Fatal(err)
		}
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(assertions) < 2 || int(agent.asked.Load()) != len(assertions) {
		t.Errorf("%d tokens for %d questions to the agent", len(assertions), agent.asked.Load())
	}
	for i, got := range assertions {
		if want := fmt.Sprint("svid-", i+1, "-for-", as.URL); got != want {
			t.Errorf("assertion %d is %s, want %s", i, got, want)
		}
	}
	if strings.Contains(shown.String(), "svid-1") {
		t.Error("the trace shows the assertion")
	}
}

// Without an identity no token is asked for, and the text says why.
func TestSPIFFERefuses(t *testing.T) {
	unregistered := (&workloadAPI{refuse: status.Error(codes.PermissionDenied, "no identity issued")}).start(t)
	for _, c := range []struct{ name, socket, want string }{
		{"no address", "", "SPIFFE_ENDPOINT_SOCKET"},
		{"over TCP", "tcp://127.0.0.1:8081", "unix:///"},
		{"relative", "unix:agent.sock", "unix:///"},
		{"on another host", "unix://agent/run/agent.sock", "unix:///"},
		{"nobody there", "unix://" + filepath.Join(t.TempDir(), "none.sock"), "none.sock"},
		{"not registered", unregistered, "has to register it"},
		{"broken agent", (&workloadAPI{refuse: status.Error(codes.Unavailable, "no upstream")}).start(t), "status 14: no upstream"},
		{"no identity in the answer", (&workloadAPI{svids: []*workload.JWTSVID{}}).start(t), "no JWT-SVID"},
		{"empty identity", (&workloadAPI{svids: []*workload.JWTSVID{{SpiffeId: "spiffe://example.org/x"}}}).start(t), "no JWT-SVID"},
		{"huge answer", (&workloadAPI{svids: []*workload.JWTSVID{{Svid: strings.Repeat("x", 1<<20)}}}).start(t), "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
			as := newAuthServer(t)
			err := call(t, &mcpclient.Client{Assertion: mcpclient.SPIFFE(c.socket)}, newResource(t, as).URL)
			if !errors.Is(err, mcpclient.ErrAuthorization) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if as.times("/token") != 0 {
				t.Error("the token endpoint was asked")
			}
		})
	}
}
