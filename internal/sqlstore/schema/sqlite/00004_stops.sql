-- +goose Up
-- What is ended for good stays here too: an API by its resource, a tool by
-- resource and name, everything. Nothing of it works until it is opened anew
-- (docs/decisions/013).
ALTER TABLE pauses ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
CREATE INDEX grants_resource ON grants (resource);
