-- +goose Up

-- Tokens of agents that act for the parties of a grant (RFC 8693): who acts, the
-- last one first, and the hash of the token that theirs was made from. No text
-- for none.
ALTER TABLE tokens ADD COLUMN actors TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN parent TEXT NOT NULL DEFAULT '';
CREATE INDEX tokens_delegated ON tokens (grant_id) WHERE actors <> '';
