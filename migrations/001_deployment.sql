-- What this database is, what time it is in it, and the one ledger every reader tails.
-- The extensions postgis and btree_gist are made beforehand in schema public (see migrations.Prepare).

-- One row: what this database may be used for. Only a rehearsal may run on simulated time.
CREATE TABLE deployment (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    mode       text        NOT NULL CHECK (mode IN ('live', 'rehearsal')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE deployment IS 'One row, made once: live or rehearsal. Never changed.';

-- One row: domain time. kind machine: domain time is the machine's. scaled: domain_at + (machine - machine_at) * rate, for
-- a few seconds after machine_at and no longer, so that it stops when nobody keeps it; machine_at infinity: stopped.
-- stepped: exactly domain_at until somebody moves it. Changes are announced on channel domain_clock.
CREATE TABLE domain_clock (
    one        boolean          PRIMARY KEY DEFAULT true CHECK (one),
    kind       text             NOT NULL DEFAULT 'machine' CHECK (kind IN ('machine', 'scaled', 'stepped')),
    domain_at  timestamptz,
    machine_at timestamptz,
    rate       double precision CHECK (rate > 0 AND rate <= 120),
    CHECK (kind = 'machine' OR domain_at IS NOT NULL),
    CHECK (kind <> 'scaled' OR (machine_at IS NOT NULL AND rate IS NOT NULL))
);

-- Domain time never goes back, and only a rehearsal has another time than the machine's.
CREATE FUNCTION domain_clock_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind <> 'machine' AND (SELECT mode FROM deployment) IS DISTINCT FROM 'rehearsal' THEN
        RAISE EXCEPTION 'only a rehearsal may run on simulated time';
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.domain_at IS NOT NULL AND NEW.domain_at < OLD.domain_at THEN
        RAISE EXCEPTION 'domain time may not go back from % to %', OLD.domain_at, NEW.domain_at;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER domain_clock_guard BEFORE INSERT OR UPDATE ON domain_clock FOR EACH ROW EXECUTE FUNCTION domain_clock_guard();

-- Rows that are history: nobody updates or deletes them. Erasing one subject after the end of the term is the one
-- exception, and says so in its transaction (SET LOCAL zhijiao.erasing = 'on').
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('zhijiao.erasing', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$;

-- Bitemporal facts: a correction closes the recorded interval; nothing else of a row ever changes.
CREATE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE a jsonb := to_jsonb(OLD) - 'recorded'; b jsonb := to_jsonb(NEW) - 'recorded';
BEGIN
    IF a IS DISTINCT FROM b OR lower(NEW.recorded) IS DISTINCT FROM lower(OLD.recorded) OR NOT upper_inf(OLD.recorded) THEN
        RAISE EXCEPTION '% keeps what was recorded: close the recorded interval and insert a new row', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

-- The ledger: every committed change of a fact, in commit order. Appended only by ledger_append, the last statement of
-- its transaction, under one advisory lock held until commit: so pos is in commit order and no reader can skip a row.
CREATE SEQUENCE ledger_pos AS bigint;
CREATE TABLE ledger (
    pos        bigint      PRIMARY KEY,
    at         timestamptz NOT NULL,                              -- domain time at which it was decided
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),    -- machine time, for lag
    kind       text        NOT NULL,                              -- entity.verb, e.g. violation.opened
    org_id     bigint,
    subject_id bigint,
    entity     text        NOT NULL,
    entity_id  bigint      NOT NULL,
    version    integer     NOT NULL,
    body       jsonb       NOT NULL DEFAULT '{}'                  -- never a name, a number or an address of a person
);
CREATE INDEX ledger_subject ON ledger (subject_id, pos) WHERE subject_id IS NOT NULL;
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- 0x7a6a6c67 = 'zjlg'. Call it as the last statement before commit.
CREATE FUNCTION ledger_append(entries jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(x'7a6a6c67'::int, 'ledger'::regclass::oid::int);
    INSERT INTO ledger (pos, at, kind, org_id, subject_id, entity, entity_id, version, body)
    SELECT nextval('ledger_pos'), (e ->> 'at')::timestamptz, e ->> 'kind', (e ->> 'org_id')::bigint,
           (e ->> 'subject_id')::bigint, e ->> 'entity', (e ->> 'entity_id')::bigint,
           (e ->> 'version')::integer, coalesce(e -> 'body', '{}')
      FROM jsonb_array_elements(entries) WITH ORDINALITY AS t (e, n) ORDER BY n;
    SELECT max(pos) INTO last FROM ledger;
    PERFORM pg_notify('ledger', '');
    RETURN last;
END $$;

-- Where each durable reader has got to; moved in the transaction of the reader's effect, under its row lock.
CREATE TABLE ledger_cursor (
    reader   text        PRIMARY KEY,
    pos      bigint      NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

---- create above / drop below ----
DROP TABLE ledger_cursor, ledger, domain_clock, deployment;
DROP SEQUENCE ledger_pos;
DROP FUNCTION ledger_append, refuse_rewrite, refuse_change, domain_clock_guard;
