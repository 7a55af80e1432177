-- +goose Up
-- For the newest call of each grant: what an agent last did.
CREATE INDEX audit_calls ON audit (grant_id, seq) WHERE kind = 'call';
