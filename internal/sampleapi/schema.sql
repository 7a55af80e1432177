-- Ids are never used twice (AUTOINCREMENT): a deleted customer's number must
-- not come to mean another one. Times are Unix seconds, amounts are in the
-- smallest unit of the currency. The columns ending in _folded are the names
-- without case and accents, for searching.

CREATE TABLE users (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	first_name   TEXT NOT NULL,
	first_folded TEXT NOT NULL,
	last_name    TEXT NOT NULL,
	last_folded  TEXT NOT NULL,
	company      TEXT NOT NULL, -- empty for private customers
	email        TEXT NOT NULL COLLATE NOCASE,
	region       TEXT NOT NULL CHECK (region <> ''),
	status       TEXT NOT NULL CHECK (status IN ('active', 'paused', 'closed')),
	created_at   INTEGER NOT NULL,
	-- Per region, because a refusal must not tell what other regions hold.
	UNIQUE (region, email)
) STRICT;

CREATE TABLE orders (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id    INTEGER NOT NULL,
	product    TEXT NOT NULL,
	amount     INTEGER NOT NULL CHECK (amount > 0),
	currency   TEXT NOT NULL,
	status     TEXT NOT NULL CHECK (status IN ('paid', 'shipped', 'delivered', 'cancelled')),
	ordered_at INTEGER NOT NULL
) STRICT;

CREATE INDEX orders_of_user ON orders (user_id, id);

CREATE TABLE refunds (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	order_id   INTEGER NOT NULL,
	amount     INTEGER NOT NULL CHECK (amount > 0),
	reason     TEXT NOT NULL,
	reference  TEXT, -- the caller's name for it; NULL when it gave none
	created_at INTEGER NOT NULL,
	UNIQUE (order_id, reference)
) STRICT;

-- The one place that knows whose an order is and what is left of it.
CREATE VIEW balances AS
SELECT id, user_id, region, product, amount, currency, status, ordered_at, refunded,
	CASE status WHEN 'cancelled' THEN 0 ELSE amount - refunded END AS refundable
FROM (
	SELECT orders.*, users.region,
		coalesce((SELECT sum(refunds.amount) FROM refunds WHERE refunds.order_id = orders.id), 0) AS refunded
	FROM orders JOIN users ON users.id = orders.user_id
);
