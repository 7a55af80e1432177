-- +goose Up
-- What an account may do in the administration console: nothing, 'admin', or
-- 'auditor', who reads all and changes nothing.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- Audit: entries in the order of their times, of all, of an account, a client, a
-- grant, and of what is not a call; the sign-ins and consents of an account, and
-- the tokens of a grant.
-- Each index on calls costs every call, so that there are no others: what was
-- refused or failed is in a table of its own, because an index on outcome would
-- be touched again when a call ends (and on PostgreSQL take all others along).
DROP INDEX audit_calls;
CREATE INDEX audit_time ON audit (at, seq);
CREATE INDEX audit_account ON audit (account_id, at, seq) WHERE account_id <> '';
CREATE INDEX audit_client ON audit (client_id, at, seq) WHERE client_id <> '';
CREATE INDEX audit_grant ON audit (grant_id, at, seq) WHERE grant_id <> '';
CREATE INDEX audit_kind ON audit (kind, at, seq) WHERE kind <> 'call';
CREATE INDEX audit_sign ON audit (account_id, kind, at, seq) WHERE kind IN ('sign-in', 'consent');
CREATE INDEX audit_token ON audit (grant_id, kind, at, seq) WHERE kind IN ('token', 'exchange', 'revocation');
CREATE INDEX audit_request ON audit (request_id, at, seq) WHERE request_id <> '';
CREATE TABLE audit_refused (
	outcome TEXT NOT NULL,
	at      BIGINT NOT NULL,
	seq     BIGINT NOT NULL,
	PRIMARY KEY (outcome, at, seq)
);
INSERT INTO audit_refused (outcome, at, seq) SELECT outcome, at, seq FROM audit WHERE outcome IN ('denied', 'failed');

-- Search: names by how they begin, whatever the case of their ASCII letters, in
-- the order of bytes.
ALTER TABLE accounts ADD COLUMN search_name TEXT COLLATE "C" GENERATED ALWAYS AS (lower(name COLLATE "C")) STORED;
CREATE INDEX accounts_search ON accounts (search_name, id);
ALTER TABLE clients ADD COLUMN search_name TEXT COLLATE "C" GENERATED ALWAYS AS (lower(name COLLATE "C")) STORED;
CREATE INDEX clients_search ON clients (search_name, id);
