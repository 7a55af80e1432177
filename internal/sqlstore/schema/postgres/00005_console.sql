-- +goose Up
-- What an account may do in the administration console: nothing, 'admin', or
-- 'auditor', who reads all and changes nothing.
ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT '';
