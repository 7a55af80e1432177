-- +goose Up
-- What an account may do in the administration console: nothing, 'admin', or
-- 'auditor', who reads all and changes nothing.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- People: lists by name, in the order of bytes on both engines; links by which a
-- person chooses a password; the row that those lock who take an administrator
-- away.
CREATE INDEX accounts_role ON accounts (role, name) WHERE role <> '';
CREATE TABLE invitations (
	account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id),
	hash       TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_name ON invitations (name);
CREATE INDEX invitations_expiry ON invitations (expires_at);
INSERT INTO meta (name, value) VALUES ('administrators', '');

-- The OpenAPI document of each API that is live: every process that reads this
-- store serves its tools.
CREATE TABLE documents (
	api     TEXT PRIMARY KEY NOT NULL,
	sha256  TEXT NOT NULL,
	body    TEXT NOT NULL,
	live_at INTEGER NOT NULL
) STRICT;
-- Audit: entries in the order of their times, of all, of an account, a client, a
-- grant, and of what is not a call; the sign-ins and consents of an account, and
-- the tokens of a grant.
-- Each index on calls costs every call, so that there are no others: what was
-- refused or failed is in a table of its own, because an index on outcome would
-- be touched again when a call ends (and on PostgreSQL take all others along).
DROP INDEX audit_calls;
CREATE INDEX audit_time ON audit (at);
CREATE INDEX audit_account ON audit (account_id, at) WHERE account_id <> '';
CREATE INDEX audit_client ON audit (client_id, at) WHERE client_id <> '';
CREATE INDEX audit_grant ON audit (grant_id, at) WHERE grant_id <> '';
CREATE INDEX audit_kind ON audit (kind, at) WHERE kind <> 'call';
CREATE INDEX audit_sign ON audit (account_id, kind, at) WHERE kind IN ('sign-in', 'consent');
CREATE INDEX audit_token ON audit (grant_id, kind, at) WHERE kind IN ('token', 'exchange', 'revocation');
CREATE INDEX audit_request ON audit (request_id, at) WHERE request_id <> '';
CREATE TABLE audit_refused (
	outcome TEXT NOT NULL,
	at      INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	PRIMARY KEY (outcome, at, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO audit_refused (outcome, at, seq) SELECT outcome, at, seq FROM audit WHERE outcome IN ('denied', 'failed');

-- Search: names by how they begin, whatever the case of their ASCII letters, in
-- the order of bytes.
ALTER TABLE accounts ADD COLUMN search_name TEXT GENERATED ALWAYS AS (lower(name)) VIRTUAL;
CREATE INDEX accounts_search ON accounts (search_name, id);
ALTER TABLE clients ADD COLUMN search_name TEXT GENERATED ALWAYS AS (lower(name)) VIRTUAL;
CREATE INDEX clients_search ON clients (search_name, id);

-- Agents: identical registrations are shown as one (security.md 2). shape is what
-- they have in common; what is here already stands by itself.
ALTER TABLE clients ADD COLUMN shape TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN host TEXT NOT NULL DEFAULT '';
UPDATE clients SET shape = id WHERE origin NOT IN ('gateway', 'console');
CREATE INDEX clients_shape ON clients (shape, created_at, id);
CREATE TABLE agents (
	shape         TEXT PRIMARY KEY NOT NULL,
	client_id     TEXT NOT NULL,
	origin        TEXT NOT NULL,
	name          TEXT NOT NULL,
	search_name   TEXT NOT NULL,
	host          TEXT NOT NULL,
	first_at      INTEGER NOT NULL,
	last_at       INTEGER NOT NULL,
	registrations INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_last ON agents (last_at, shape);
CREATE INDEX agents_origin ON agents (origin, last_at, shape);
CREATE INDEX agents_name ON agents (search_name, shape);
CREATE INDEX agents_host ON agents (host, last_at, shape);
INSERT INTO agents SELECT id, id, origin, name, lower(name), '', created_at, created_at, 1 FROM clients WHERE shape <> '';
CREATE INDEX grants_of_client ON grants (client_id, created_at, id);

-- Whatever adds, changes or removes a client keeps agents right.
-- +goose StatementBegin
CREATE TRIGGER agents_join AFTER INSERT ON clients WHEN NEW.shape <> ''
BEGIN
	INSERT INTO agents VALUES (NEW.shape, NEW.id, NEW.origin, NEW.name, lower(NEW.name), NEW.host, NEW.created_at, NEW.created_at, 1)
	ON CONFLICT (shape) DO UPDATE SET client_id = excluded.client_id, last_at = max(last_at, excluded.last_at), registrations = registrations + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER agents_leave AFTER DELETE ON clients WHEN OLD.shape <> ''
BEGIN
	UPDATE agents SET registrations = registrations - 1 WHERE shape = OLD.shape;
	DELETE FROM agents WHERE shape = OLD.shape AND registrations <= 0;
	UPDATE agents SET client_id = (SELECT id FROM clients WHERE shape = OLD.shape ORDER BY created_at DESC, id DESC LIMIT 1)
		WHERE shape = OLD.shape AND client_id = OLD.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER agents_change AFTER UPDATE OF shape, name, host, origin ON clients
	WHEN NEW.shape <> OLD.shape OR NEW.name <> OLD.name OR NEW.host <> OLD.host OR NEW.origin <> OLD.origin
BEGIN
	UPDATE agents SET registrations = registrations - 1 WHERE shape = OLD.shape;
	DELETE FROM agents WHERE shape = OLD.shape AND registrations <= 0;
	UPDATE agents SET client_id = (SELECT id FROM clients WHERE shape = OLD.shape ORDER BY created_at DESC, id DESC LIMIT 1)
		WHERE shape = OLD.shape AND client_id = OLD.id;
	INSERT INTO agents SELECT NEW.shape, NEW.id, NEW.origin, NEW.name, lower(NEW.name), NEW.host, NEW.created_at, NEW.created_at, 1 WHERE NEW.shape <> ''
	ON CONFLICT (shape) DO UPDATE SET client_id = excluded.client_id, last_at = max(last_at, excluded.last_at), registrations = registrations + 1;
END;
-- +goose StatementEnd
