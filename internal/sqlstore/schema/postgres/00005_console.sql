-- +goose Up
-- What an account may do in the administration console: nothing, 'admin', or
-- 'auditor', who reads all and changes nothing.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- People: lists by name, in the order of bytes on both engines; links by which a
-- person chooses a password; the row that those lock who take an administrator
-- away.
ALTER TABLE accounts ALTER COLUMN name TYPE TEXT COLLATE "C";
CREATE INDEX accounts_role ON accounts (role, name) WHERE role <> '';
CREATE TABLE invitations (
	account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id),
	hash       TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL COLLATE "C",
	expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_name ON invitations (name);
CREATE INDEX invitations_expiry ON invitations (expires_at);
INSERT INTO meta (name, value) VALUES ('administrators', '');
CREATE INDEX audit_account ON audit (account_id, at) WHERE account_id <> '';
