-- +goose Up
-- For the newest call of each grant: what an agent last did.
CREATE INDEX audit_calls ON audit (grant_id, seq) WHERE kind = 'call';

-- OpenID Connect: what a relying party wants to find in the ID token, and where
-- it may be returned to after a sign-out.
ALTER TABLE requests ADD COLUMN nonce TEXT NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN nonce TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';
