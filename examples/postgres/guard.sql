-- The guard: for each resource the greatest fencing token that has been here. Run it once:
--
--     psql -d DATABASE -f guard.sql
--
-- Whoever writes under a lock of holdfast calls holdfast_claim() first in its transaction, before
-- it reads anything that it will rely on:
--
--     BEGIN;
--     SELECT holdfast_claim('account-17', 4711);   -- the lock's name, the grant's fencing token
--     SELECT ... ; UPDATE ... ;
--     COMMIT;
--
-- If a newer holder has been here it raises SQLSTATE "TOKEN", and the transaction can only be
-- rolled back. Else it keeps the row locked until the transaction ends, so nobody slips in between.

-- The row is rewritten at every claim: half of each page is left free for that.
CREATE TABLE IF NOT EXISTS holdfast_guard (
    resource text PRIMARY KEY,
    token bigint NOT NULL CHECK (token > 0)
) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION holdfast_claim(claimed text, fencing_token bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO holdfast_guard(resource, token) VALUES (claimed, fencing_token)
        ON CONFLICT (resource) DO UPDATE SET token = excluded.token
        WHERE holdfast_guard.token <= excluded.token;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fenced off: a newer holder of % than % has been here', claimed,
            fencing_token USING ERRCODE = 'TOKEN';
    END IF;
END $$;
