-- +goose Up

-- Whose certificate a client proves itself by, and to which one a token is bound
-- (RFC 8705): no text for none.
ALTER TABLE clients ADD COLUMN certificate_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN certificate TEXT NOT NULL DEFAULT '';
