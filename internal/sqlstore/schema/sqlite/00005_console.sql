-- +goose Up
-- What an account may do in the administration console: nothing, 'admin', or
-- 'auditor', who reads all and changes nothing.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT '';

-- The OpenAPI document of each API that is live: every process that reads this
-- store serves its tools.
CREATE TABLE documents (
	api     TEXT PRIMARY KEY NOT NULL,
	sha256  TEXT NOT NULL,
	body    TEXT NOT NULL,
	live_at INTEGER NOT NULL
) STRICT;
