-- Times are Unix seconds. What is sealed opens with the key that lies beside
-- the database, not in it.

CREATE TABLE accounts (
	id         TEXT PRIMARY KEY,
	name       TEXT NOT NULL UNIQUE, -- normalised (RFC 8265)
	password   TEXT NOT NULL,        -- argon2id
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
	hash       TEXT PRIMARY KEY, -- of the cookie's value
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_of_account ON sessions (account_id);

-- A person's language model; none means the planner.
CREATE TABLE models (
	account_id TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
	base_url   TEXT NOT NULL,
	name       TEXT NOT NULL,
	sealed_key TEXT NOT NULL -- empty without a key
) STRICT;

CREATE TABLE servers (
	id         TEXT PRIMARY KEY,
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	url        TEXT NOT NULL,
	sealed     TEXT NOT NULL, -- state of mcpclient: registrations and tokens; empty if there is none
	connected  INTEGER NOT NULL, -- it answered, and was not signed out of since
	listed_at  INTEGER NOT NULL, -- when its tools were; 0 never
	created_at INTEGER NOT NULL,
	UNIQUE (account_id, url)
) STRICT;

-- Tools as the server described them last, and what the person allows.
CREATE TABLE tools (
	server_id   TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
	position    INTEGER NOT NULL,
	name        TEXT NOT NULL,
	title       TEXT NOT NULL,
	description TEXT NOT NULL,
	parameters  TEXT NOT NULL, -- JSON Schema of the arguments
	reads       INTEGER NOT NULL, -- the server says that it changes nothing
	mode        TEXT NOT NULL CHECK (mode IN ('off', 'ask', 'free')),
	changed     INTEGER NOT NULL, -- it was switched off because it is described anew
	PRIMARY KEY (server_id, name)
) STRICT;

-- A chat is with one server: what that one says reaches no other.
CREATE TABLE chats (
	id         TEXT PRIMARY KEY,
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	server_id  TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
	title      TEXT NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chats_of_account ON chats (account_id, updated_at);

-- What was said and done, in order.
CREATE TABLE entries (
	chat_id TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
	n       INTEGER NOT NULL,
	body    TEXT NOT NULL, -- JSON of an Entry
	PRIMARY KEY (chat_id, n)
) STRICT;
