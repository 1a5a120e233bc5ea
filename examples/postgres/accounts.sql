-- What the example pays from and into. No unique constraint on the payment: nothing here keeps one
-- from being booked twice.
CREATE TABLE accounts (
    id text PRIMARY KEY,
    cents bigint NOT NULL
);
CREATE TABLE transfers (
    payment text NOT NULL,
    account text NOT NULL REFERENCES accounts,
    cents bigint NOT NULL,
    receipt text NOT NULL
);
CREATE INDEX transfers_by_payment ON transfers (payment);
INSERT INTO accounts SELECT 'account-' || n, 100000 FROM generate_series(0, 5) AS n;
INSERT INTO accounts VALUES ('shop', 0);
