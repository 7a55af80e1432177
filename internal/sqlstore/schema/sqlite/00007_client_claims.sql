-- +goose Up

-- Attributes that APIs may be told of a client that acts for itself, as JSON.
ALTER TABLE clients ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
