-- +goose Up
-- number is that of the last event. It is counted up by whoever revokes, in the
-- same transaction (security.md 10).
CREATE TABLE feed (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	epoch  TEXT NOT NULL,
	number INTEGER NOT NULL
) STRICT;
INSERT INTO feed (one, epoch, number) VALUES (1, lower(hex(randomblob(16))), 0);

CREATE TABLE events (
	number  INTEGER PRIMARY KEY,
	subject TEXT NOT NULL,
	id      TEXT NOT NULL,
	at      INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_account ON grants (account_id);
CREATE INDEX sessions_account ON sessions (account_id);
