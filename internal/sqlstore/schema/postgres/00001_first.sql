-- +goose Up
-- Times are Unix seconds, but for audit.at; lists of words are separated by
-- blanks; other lists and maps are JSON.

CREATE TABLE accounts (
	id            TEXT PRIMARY KEY,
	name          TEXT NOT NULL UNIQUE,
	password_hash TEXT NOT NULL,
	claims        TEXT NOT NULL,
	created_at    BIGINT NOT NULL
);

CREATE TABLE sessions (
	hash       TEXT PRIMARY KEY,
	account_id TEXT NOT NULL REFERENCES accounts (id),
	amr        TEXT NOT NULL,
	auth_time  BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE clients (
	id               TEXT PRIMARY KEY,
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
	created_at       BIGINT NOT NULL
);

CREATE INDEX clients_registered ON clients (created_at) WHERE origin = 'registered';

CREATE TABLE assertions (
	hash       TEXT PRIMARY KEY,
	expires_at BIGINT NOT NULL
);
CREATE INDEX assertions_expiry ON assertions (expires_at);

CREATE TABLE requests (
	id             TEXT PRIMARY KEY,
	browser_hash   TEXT NOT NULL,
	client_id      TEXT NOT NULL,
	redirect_uri   TEXT NOT NULL,
	state          TEXT NOT NULL,
	challenge      TEXT NOT NULL,
	scopes         TEXT NOT NULL,
	resource       TEXT NOT NULL,
	redirect_given BOOLEAN NOT NULL,
	force_sign_in  BOOLEAN NOT NULL,
	force_consent  BOOLEAN NOT NULL,
	account_id     TEXT NOT NULL,
	amr            TEXT NOT NULL,
	auth_time      BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL
);
CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE grants (
	id         TEXT PRIMARY KEY,
	account_id TEXT NOT NULL,
	client_id  TEXT NOT NULL,
	resource   TEXT NOT NULL,
	scopes     TEXT NOT NULL,
	agreed     TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at   BIGINT
);
CREATE INDEX grants_client ON grants (client_id);
CREATE UNIQUE INDEX grants_live ON grants (account_id, client_id, resource) WHERE ended_at IS NULL;

CREATE TABLE codes (
	hash           TEXT PRIMARY KEY,
	grant_id       TEXT NOT NULL REFERENCES grants (id),
	client_id      TEXT NOT NULL,
	redirect_uri   TEXT NOT NULL,
	redirect_given BOOLEAN NOT NULL,
	challenge      TEXT NOT NULL,
	scopes         TEXT NOT NULL,
	resource       TEXT NOT NULL,
	amr            TEXT NOT NULL,
	auth_time      BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL,
	used_at        BIGINT
);
CREATE INDEX codes_expiry ON codes (expires_at);

-- What gateways found missing, offered at the next consent.
CREATE TABLE missing_scopes (
	grant_id TEXT NOT NULL REFERENCES grants (id),
	scope    TEXT NOT NULL,
	noted_at BIGINT NOT NULL,
	PRIMARY KEY (grant_id, scope)
);
CREATE INDEX missing_scopes_age ON missing_scopes (noted_at);

-- A family is the refresh tokens that follow one another; rotating and ending
-- both update its row, so that one of them is first.
CREATE TABLE families (
	id         TEXT PRIMARY KEY,
	grant_id   TEXT NOT NULL REFERENCES grants (id),
	rotated_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at   BIGINT
);
CREATE INDEX families_expiry ON families (expires_at);

-- sealed, bound and successor are set when the token is used; sealed is erased
-- soon after.
CREATE TABLE refresh_tokens (
	hash       TEXT PRIMARY KEY,
	family     TEXT NOT NULL REFERENCES families (id),
	scopes     TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	amr        TEXT NOT NULL,
	auth_time  BIGINT NOT NULL,
	used_at    BIGINT,
	sealed     TEXT NOT NULL,
	bound      TEXT NOT NULL,
	successor  TEXT NOT NULL
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_sealed ON refresh_tokens (used_at) WHERE sealed <> '';
CREATE UNIQUE INDEX refresh_tokens_successor ON refresh_tokens (successor) WHERE successor <> '';

CREATE TABLE tokens (
	hash       TEXT PRIMARY KEY,
	grant_id   TEXT NOT NULL REFERENCES grants (id),
	family     TEXT NOT NULL,
	scopes     TEXT NOT NULL,
	issued_at  BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	amr        TEXT NOT NULL,
	auth_time  BIGINT NOT NULL
);
CREATE INDEX tokens_family ON tokens (family) WHERE family <> '';
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- seq is the order of writing; at is in Unix milliseconds; result is what the
-- outcome added to detail.
CREATE TABLE audit (
	seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	at         BIGINT NOT NULL,
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
);

-- slot is 'first' and the algorithm for a key that the installation started with, else the key
-- ID: its uniqueness is what lets one of two starting processes win.
CREATE TABLE signing_keys (
	key_id     TEXT PRIMARY KEY,
	slot       TEXT NOT NULL UNIQUE,
	algorithm  TEXT NOT NULL,
	private    TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	signs_from      BIGINT NOT NULL,
	published_until BIGINT NOT NULL
);

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);
