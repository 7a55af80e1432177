package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/agent"
	"gatehouse/internal/catalog"
	"gatehouse/internal/egress"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

func (x Agent) validate(report reporter, url string) {
	for i, address := range x.Addresses {
		if _, err := egress.ParseException(address); err != nil {
			report(fmt.Sprintf("agent.addresses[%d]", i), "%v", err)
		}
	}
	if x.Roots != "" && len(x.Addresses) == 0 {
		report("agent.roots", "is for the hosts in agent.addresses, and there are none")
	}
	if url == "" && len(x.Addresses) > 0 {
		report("agent", "is for the agent front end, and urls.agent is missing")
	}
}

// agentRole is the agent front end with what it alone has.
type agentRole struct {
	server *agent.Server
	db     *sql.DB
}

// agent is the front end of another organization. It has a database and a key
// of its own, and reaches everybody, this process included, as from outside.
func (a *App) agent(ctx context.Context, _ []*catalog.API) (http.Handler, error) {
	key, err := agentKey(filepath.Join(a.config.Path(a.config.Data), "agent.key"))
	if err != nil {
		return nil, err
	}
	d := Documents{Addresses: a.config.Agent.Addresses, Roots: a.config.Agent.Roots}
	guard, err := d.guard(&a.config, "agent")
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.OpenPlain(filepath.Join(a.config.Path(a.config.Data), "agent.db"))
	if err != nil {
		return nil, fmt.Errorf("open the agent's database: %w", err)
	}
	role := &agentRole{db: db, server: &agent.Server{URL: a.config.URLs.Agent, Version: a.options.Version, DB: db, Key: key, Egress: guard}}
	a.chats = role
	if a.config.demo != nil {
		role.server.Suggest = a.config.URLs.Gateway
	}
	if err := agent.Prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("prepare the agent's database: %w", err)
	}
	return role.server.Handler()
}

// agentKey returns what seals the agent's tokens, made on first start in a file
// that this user alone can read. It is not in the database that it protects.
func agentKey(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return "", fmt.Errorf("create the agent's key: %w", err)
		}
		key := secret.New("")
		_, err = f.WriteString(key + "\n")
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return "", fmt.Errorf("write the agent's key %s: %w", path, err)
		}
		return key, nil
	case err != nil:
		return "", fmt.Errorf("read the agent's key: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("the agent's key %s can be read by others (mode %o); chmod 600 it, and remove it if somebody may have", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	key := strings.TrimSpace(string(text))
	if err != nil || len(key) < 43 {
		return "", errors.Join(fmt.Errorf("the agent's key %s cannot be used; remove the file to begin anew, which ends every connection", path), err)
	}
	return key, nil
}

// demoAgent lets the demo's agent reach the demo, and the demo its agent's
// metadata document: nothing else of this computer.
func (c *Config) demoAgent() {
	for _, base := range []string{c.URLs.Gateway, c.URLs.AuthServer} {
		c.Agent.Addresses = append(c.Agent.Addresses, exceptionFor(base))
	}
	if c.demo.tls != nil {
		c.Agent.Roots = c.demo.tls.File
		c.Documents.Addresses, c.Documents.Roots = []string{exceptionFor(c.URLs.Agent)}, c.demo.tls.File
	}
}

func exceptionFor(base string) string {
	u, err := url.Parse(base)
	if err != nil { // made by Demo
		return ""
	}
	return hostPort(u)
}

// constraints are the domains that the demo's authority may vouch for.
func constraints(domain, agentHost string) []string {
	if strings.HasSuffix(agentHost, "."+domain) {
		return []string{domain}
	}
	return slices.Compact([]string{domain, agentHost})
}
