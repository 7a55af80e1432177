-- +goose Up
-- number is that of the last event. It is counted up by whoever revokes, in the
-- same transaction: a sequence would leave holes, and let a later number commit
-- first (security.md 10).
CREATE TABLE feed (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	epoch  TEXT NOT NULL,
	number BIGINT NOT NULL
);
INSERT INTO feed (one, epoch, number) VALUES (1, replace(gen_random_uuid()::text, '-', ''), 0);

CREATE TABLE events (
	number  BIGINT PRIMARY KEY,
	subject TEXT NOT NULL,
	id      TEXT NOT NULL,
	at      BIGINT NOT NULL
);
CREATE INDEX grants_account ON grants (account_id);
CREATE INDEX sessions_account ON sessions (account_id);
