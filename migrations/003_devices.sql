-- What speaks to us, for whom, and what became of everything it said.

CREATE TABLE device (
    device_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    serial      text        NOT NULL UNIQUE CHECK (serial ~ '^[A-Za-z0-9_-]{1,64}$'),    -- what stands in the topic
    class       text        NOT NULL CHECK (class IN ('wristband', 'phone')),
    model       text        NOT NULL DEFAULT '',
    org_id      bigint      REFERENCES org,
    enrolled_at timestamptz NOT NULL,
    revoked_at  timestamptz,
    facts       bigint      NOT NULL DEFAULT 0,                   -- grows with each recorded change of its bindings
    UNIQUE (device_id, class)
);
-- The secret is random and at least 128 bit, so a keyed digest is enough (argon2id is for people).
CREATE TABLE device_credential (
    device_credential_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id  bigint      NOT NULL REFERENCES device,
    mac        bytea       NOT NULL,                              -- HMAC-SHA-256 of the secret under the server key
    issued_at  timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX device_credential_device ON device_credential (device_id) WHERE revoked_at IS NULL;

-- The hot row of a device: sequences already heard, and its last health. Locked by whoever takes in its observations.
CREATE TABLE device_health (
    device_id   bigint PRIMARY KEY REFERENCES device,
    heard       bytea       NOT NULL DEFAULT '',                  -- devices.Window: boots, sequence ranges, digests
    heard_at    timestamptz,                                      -- domain time of the last observation received
    observed_at timestamptz,                                      -- the device's own time of the newest health below
    battery     smallint, strap smallint, charging boolean,
    cell text, operator text, signal smallint, sim text, last_gasp text, skew_ms bigint
) WITH (fillfactor = 70);

-- The interval in which a device speaks for a subject. class is the device's, so that the database can tell the two
-- legal bases apart (社区矫正法 29 and 26).
CREATE TABLE binding (
    binding_id    bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id     bigint    NOT NULL,
    class         text      NOT NULL,
    subject_id    bigint    NOT NULL REFERENCES subject,
    interval_s    integer   NOT NULL CHECK (interval_s BETWEEN 1 AND 604800),  -- a fix is expected this often, seconds
    finest_s      integer   NOT NULL DEFAULT 0 CHECK (finest_s >= 0),          -- a phone fix closer to another than this is not stored (R13)
    justification text,                                                        -- why finer than the class default, and who reviewed it (R13)
    reviewer_id   bigint    REFERENCES officer,
    valid         tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
    recorded      tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by   bigint    REFERENCES account,
    FOREIGN KEY (device_id, class) REFERENCES device (device_id, class),
    CONSTRAINT binding_phone_density CHECK (class <> 'phone' OR finest_s >= 600 OR (coalesce(justification, '') <> '' AND reviewer_id IS NOT NULL)),
    CONSTRAINT binding_device EXCLUDE USING gist (device_id WITH =, valid WITH &&, recorded WITH &&),
    CONSTRAINT binding_subject EXCLUDE USING gist (subject_id WITH =, class WITH =, valid WITH &&, recorded WITH &&)
);
CREATE INDEX binding_by_subject ON binding (subject_id) WHERE upper_inf(recorded);
CREATE TRIGGER binding_history BEFORE UPDATE ON binding FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
-- R01: a wristband is fitted under an authority that is valid on that day.
CREATE FUNCTION binding_authority() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.class = 'wristband' AND NOT EXISTS (SELECT FROM authority
            WHERE subject_id = NEW.subject_id AND upper_inf(recorded) AND valid @> lower(NEW.valid))
    AND NOT EXISTS (SELECT FROM binding b                          -- ending one must always be possible
            WHERE b.device_id = NEW.device_id AND b.subject_id = NEW.subject_id AND upper(b.recorded) = lower(NEW.recorded)
              AND lower(b.valid) = lower(NEW.valid) AND b.valid @> NEW.valid) THEN
        RAISE EXCEPTION 'a wristband needs an authority valid when it is fitted (社区矫正法 29), subject % has none at %', NEW.subject_id, lower(NEW.valid)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'binding_authority';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER binding_authority BEFORE INSERT ON binding FOR EACH ROW EXECUTE FUNCTION binding_authority();

-- Received = stored + withheld(reason) + rejected(reason) + duplicate, counted per observation in the transaction that
-- decided it. outcome 'received' is counted where the message was opened, the others where rows were written.
CREATE TABLE observation_count (
    partition smallint NOT NULL,                                  -- who counts: no two owners share a row
    kind      text     NOT NULL CHECK (kind IN ('fix', 'checkin', 'status', 'unknown')),
    outcome   text     NOT NULL CHECK (outcome IN ('received', 'stored', 'withheld', 'rejected', 'duplicate')),
    reason    text     NOT NULL DEFAULT '',
    n         bigint   NOT NULL,
    PRIMARY KEY (partition, kind, outcome, reason)
) WITH (fillfactor = 70);

-- What was refused or withheld, and why. payload is an internal/crypto envelope and only there when every time in the
-- message lay where the law lets us keep it; else the shape of the message with every digit masked.
CREATE TABLE quarantine (
    quarantine_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at   timestamptz NOT NULL,
    device_id     bigint,
    serial        text        NOT NULL,
    kind          text        NOT NULL,
    outcome       text        NOT NULL CHECK (outcome IN ('withheld', 'rejected')),
    reason        text        NOT NULL,
    field         text        NOT NULL DEFAULT '',
    boot          bigint, seq bigint,
    observed_at   timestamptz,
    size          integer     NOT NULL,
    digest        bytea       NOT NULL,                           -- keyed: a coordinate cannot be guessed back from it
    payload       bytea,
    masked        boolean     NOT NULL DEFAULT true,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX quarantine_time ON quarantine (received_at);
CREATE INDEX quarantine_device ON quarantine (device_id, received_at);
CREATE INDEX quarantine_expiry ON quarantine (expires_at);

-- 设备指令. Delivery state is here; the broker carries it at QoS 0.
CREATE TABLE command (
    command_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id    bigint      NOT NULL REFERENCES device,
    kind         text        NOT NULL CHECK (kind IN ('check', 'locate', 'text', 'vibrate')),
    body         jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    sent_at      timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    next_at      timestamptz,                                     -- domain time of the next attempt; NULL: no more
    done_at      timestamptz                                      -- the device answered
);
CREATE INDEX command_due ON command (next_at) WHERE next_at IS NOT NULL;

---- create above / drop below ----
DROP TABLE command, quarantine, observation_count, binding, device_health, device_credential, device;
DROP FUNCTION binding_authority;
