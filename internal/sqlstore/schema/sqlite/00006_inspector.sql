-- +goose Up
-- Messages that the inspector shows, for an hour at most. detail holds what the
-- list of their kind permits, as JSON (security.md 22).
CREATE TABLE messages (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	at         INTEGER NOT NULL, -- microseconds
	kind       TEXT NOT NULL,
	client_id  TEXT NOT NULL,
	grant_id   TEXT NOT NULL,
	account_id TEXT NOT NULL,
	request    TEXT NOT NULL,
	peer       TEXT NOT NULL,
	detail     TEXT NOT NULL
) STRICT;
CREATE INDEX messages_at ON messages (at);
CREATE INDEX messages_account ON messages (account_id, at);
CREATE INDEX messages_client ON messages (client_id, at);

-- For which client or grant messages are recorded, and until when.
CREATE TABLE inspections (
	subject TEXT NOT NULL,
	id      TEXT NOT NULL,
	since   INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	reason  TEXT NOT NULL,
	PRIMARY KEY (subject, id)
) STRICT, WITHOUT ROWID;
