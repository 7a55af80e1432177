-- +goose Up
-- Times are Unix seconds, but for audit.at; lists of words are separated by
-- blanks; other lists and maps are JSON. Rows that are found by a random key and
-- are small live in the key's own tree (WITHOUT ROWID).

CREATE TABLE accounts (
	id            TEXT PRIMARY KEY NOT NULL,
	name          TEXT NOT NULL UNIQUE,
	password_hash TEXT NOT NULL,
	claims        TEXT NOT NULL,
	created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
	hash       TEXT PRIMARY KEY NOT NULL,
	account_id TEXT NOT NULL REFERENCES accounts (id),
	amr        TEXT NOT NULL,
	auth_time  INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE clients (
	id               TEXT PRIMARY KEY NOT NULL,
	origin           TEXT NOT NULL,
	name             TEXT NOT NULL,
	uri              TEXT NOT NULL,
	application_type TEXT NOT NULL,
	redirect_uris    TEXT NOT NULL,
	grant_types      TEXT NOT NULL,
	response_types   TEXT NOT NULL,
	auth_method      TEXT NOT NULL,
	secret_hash      TEXT NOT NULL,
	jwks             TEXT NOT NULL,
	jwks_uri         TEXT NOT NULL,
	scope            TEXT NOT NULL,
	created_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX clients_registered ON clients (created_at) WHERE origin = 'registered';

CREATE TABLE assertions (
	hash       TEXT PRIMARY KEY NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assertions_expiry ON assertions (expires_at);

CREATE TABLE requests (
	id             TEXT PRIMARY KEY NOT NULL,
	browser_hash   TEXT NOT NULL,
	client_id      TEXT NOT NULL,
	redirect_uri   TEXT NOT NULL,
	state          TEXT NOT NULL,
	challenge      TEXT NOT NULL,
	scopes         TEXT NOT NULL,
	resource       TEXT NOT NULL,
	redirect_given INTEGER NOT NULL,
	force_sign_in  INTEGER NOT NULL,
	force_consent  INTEGER NOT NULL,
	account_id     TEXT NOT NULL,
	amr            TEXT NOT NULL,
	auth_time      INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE grants (
	id         TEXT PRIMARY KEY NOT NULL,
	account_id TEXT NOT NULL,
	client_id  TEXT NOT NULL,
	resource   TEXT NOT NULL,
	scopes     TEXT NOT NULL,
	agreed     TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	ended_at   INTEGER
) STRICT;
CREATE INDEX grants_client ON grants (client_id);
CREATE UNIQUE INDEX grants_live ON grants (account_id, client_id, resource) WHERE ended_at IS NULL;

CREATE TABLE codes (
	hash           TEXT PRIMARY KEY NOT NULL,
	grant_id       TEXT NOT NULL REFERENCES grants (id),
	client_id      TEXT NOT NULL,
	redirect_uri   TEXT NOT NULL,
	redirect_given INTEGER NOT NULL,
	challenge      TEXT NOT NULL,
	scopes         TEXT NOT NULL,
	resource       TEXT NOT NULL,
	amr            TEXT NOT NULL,
	auth_time      INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL,
	used_at        INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_expiry ON codes (expires_at);

-- What gateways found missing, offered at the next consent.
CREATE TABLE missing_scopes (
	grant_id TEXT NOT NULL REFERENCES grants (id),
	scope    TEXT NOT NULL,
	noted_at INTEGER NOT NULL,
	PRIMARY KEY (grant_id, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX missing_scopes_age ON missing_scopes (noted_at);

-- A family is the refresh tokens that follow one another; rotating and ending
-- both update its row, so that one of them is first.
CREATE TABLE families (
	id         TEXT PRIMARY KEY NOT NULL,
	grant_id   TEXT NOT NULL REFERENCES grants (id),
	rotated_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	ended_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX families_expiry ON families (expires_at);

-- sealed, bound and successor are set when the token is used; sealed is erased
-- soon after.
CREATE TABLE refresh_tokens (
	hash       TEXT PRIMARY KEY NOT NULL,
	family     TEXT NOT NULL REFERENCES families (id),
	scopes     TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	amr        TEXT NOT NULL,
	auth_time  INTEGER NOT NULL,
	used_at    INTEGER,
	sealed     TEXT NOT NULL,
	bound      TEXT NOT NULL,
	successor  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_sealed ON refresh_tokens (used_at) WHERE sealed <> '';
CREATE UNIQUE INDEX refresh_tokens_successor ON refresh_tokens (successor) WHERE successor <> '';

CREATE TABLE tokens (
	hash       TEXT PRIMARY KEY NOT NULL,
	grant_id   TEXT NOT NULL REFERENCES grants (id),
	family     TEXT NOT NULL,
	scopes     TEXT NOT NULL,
	issued_at  INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	amr        TEXT NOT NULL,
	auth_time  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_family ON tokens (family) WHERE family <> '';
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- seq is the order of writing; at is in Unix milliseconds; result is what the
-- outcome added to detail.
CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	at         INTEGER NOT NULL,
	kind       TEXT NOT NULL,
	outcome    TEXT NOT NULL,
	account_id TEXT NOT NULL,
	client_id  TEXT NOT NULL,
	grant_id   TEXT NOT NULL,
	api        TEXT NOT NULL,
	tool       TEXT NOT NULL,
	reason     TEXT NOT NULL,
	request_id TEXT NOT NULL,
	detail     TEXT NOT NULL,
	result     TEXT NOT NULL
) STRICT;

-- slot is 'first' and the algorithm for a key that the installation started with, else the key
-- ID: its uniqueness is what lets one of two starting processes win.
CREATE TABLE signing_keys (
	key_id     TEXT PRIMARY KEY NOT NULL,
	slot       TEXT NOT NULL UNIQUE,
	algorithm  TEXT NOT NULL,
	private    TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	signs_from      INTEGER NOT NULL,
	published_until INTEGER NOT NULL
) STRICT;

CREATE TABLE meta (
	name  TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT;
