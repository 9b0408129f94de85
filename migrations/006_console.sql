-- Who may not try again yet, and who looked at whom.

-- Logins that failed, by a digest of account name and address (or of the name alone): what was typed is not kept.
CREATE TABLE login_failure (
    key          bytea       PRIMARY KEY,
    failures     integer     NOT NULL,
    last_at      timestamptz NOT NULL,                            -- machine time, like all of sessions
    locked_until timestamptz
);
CREATE INDEX login_failure_last ON login_failure (last_at);

-- Looking at a person's track is itself recorded, with its purpose (R107).
CREATE TABLE subject_access (
    access_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint      NOT NULL REFERENCES account,
    subject_id bigint      NOT NULL REFERENCES subject,
    what       text        NOT NULL CHECK (what IN ('track')),
    purpose    text        NOT NULL CHECK (purpose IN ('alert', 'check', 'investigation', 'approval', 'handover')),
    alert_id   bigint      REFERENCES alert,                      -- the alert that is the purpose
    shown      tstzrange   NOT NULL,                              -- what stretch of it was shown
    at         timestamptz NOT NULL,                              -- domain time
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),    -- machine time
    client     text        NOT NULL DEFAULT '',
    CHECK ((purpose = 'alert') = (alert_id IS NOT NULL))
);
CREATE INDEX subject_access_subject ON subject_access (subject_id, at);
CREATE INDEX subject_access_account ON subject_access (account_id, at);
CREATE TRIGGER subject_access_append_only BEFORE UPDATE OR DELETE ON subject_access FOR EACH ROW EXECUTE FUNCTION refuse_change();

---- create above / drop below ----
DROP TABLE subject_access, login_failure;
