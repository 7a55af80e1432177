-- +goose Up
-- For the newest call of each grant: what an agent last did.
CREATE INDEX audit_calls ON audit (grant_id, seq) WHERE kind = 'call';

-- OpenID Connect: what a relying party wants to find in the ID token, and where
-- it may be returned to after a sign-out.
ALTER TABLE requests ADD COLUMN nonce TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN nonce TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';

-- What is paused, by the same subjects as in events, and 'everything' with an
-- empty id: nothing hanging off it works until it is resumed (security.md 12).
CREATE TABLE pauses (
	subject TEXT NOT NULL,
	id      TEXT NOT NULL,
	reason  TEXT NOT NULL,
	since   BIGINT NOT NULL,
	PRIMARY KEY (subject, id)
);

-- What a gateway that is a process of its own still has to send to the
-- authorization server: 0 nothing yet, 1 that it began, 2 all, as for entries of
-- the authorization server itself.
ALTER TABLE audit ADD COLUMN shipped SMALLINT NOT NULL DEFAULT 2;
CREATE INDEX audit_unshipped ON audit (seq) WHERE shipped < 2;
