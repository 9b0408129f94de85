-- Violations made into work for people.

-- 分级处置表: class and clocks for each kind of violation and channel. Policy as data, changed by a new row.
CREATE TABLE handling (
    handling_id   bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text      NOT NULL,
    channel       text      NOT NULL CHECK (channel IN ('wristband', 'phone')),
    class         text      NOT NULL CHECK (class IN ('alarm', 'reminder', 'lead')),
    acknowledge_s integer   NOT NULL CHECK (acknowledge_s > 0),     -- to be taken charge of within, seconds of domain time
    heals         boolean   NOT NULL,                               -- a reminder whose cause ended may close itself (R55)
    valid         tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded      tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    CHECK (NOT heals OR class <> 'alarm'),
    EXCLUDE USING gist (kind WITH =, channel WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER handling_history BEFORE UPDATE ON handling FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
INSERT INTO handling (kind, channel, class, acknowledge_s, heals) VALUES
    ('left_zone',        'wristband', 'alarm',    300,  false),
    ('left_zone',        'phone',     'alarm',    900,  false),    -- opens only when confirmed by an answer
    ('entered_zone',     'wristband', 'alarm',    120,  false),
    ('entered_zone',     'phone',     'alarm',    120,  false),
    ('passed_through',   'wristband', 'reminder', 900,  false),
    ('passed_through',   'phone',     'reminder', 900,  false),
    ('device_silent',    'wristband', 'reminder', 900,  true),
    ('device_silent',    'phone',     'reminder', 3600, true),
    ('check_unanswered', 'wristband', 'reminder', 1800, true),
    ('check_unanswered', 'phone',     'reminder', 1800, true);

-- 警情. One open alert an episode.
CREATE TABLE alert (
    alert_id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    violation_id    bigint      NOT NULL REFERENCES violation,
    subject_id      bigint      NOT NULL REFERENCES subject,
    org_id          bigint      NOT NULL REFERENCES org,
    kind            text        NOT NULL,
    channel         text        NOT NULL,
    class           text        NOT NULL CHECK (class IN ('alarm', 'reminder', 'lead')),
    legal_basis     text        NOT NULL,
    state           text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'closed')),
    version         integer     NOT NULL DEFAULT 1,
    opened_at       timestamptz NOT NULL,                           -- domain: the violation's
    raised_at       timestamptz NOT NULL,                           -- domain
    written_at      timestamptz NOT NULL DEFAULT clock_timestamp(), -- machine, for fix-to-alert seconds
    due_at          timestamptz NOT NULL,                           -- domain: to be taken charge of by
    violation_state text        NOT NULL DEFAULT 'open' CHECK (violation_state IN ('open', 'closed', 'withdrawn')),
    review          boolean     NOT NULL DEFAULT false,             -- from backlog: review, not siren (R36)
    acknowledged_by bigint      REFERENCES account,
    acknowledged_at timestamptz,
    closed_by       bigint      REFERENCES account,                 -- NULL when closed: it healed by itself
    closed_at       timestamptz,
    conclusion      text        CHECK (conclusion IN ('substantiated', 'justified', 'approved', 'device_fault', 'drift', 'signal_loss',
                                                      'accidental', 'healed', 'unverifiable', 'other')),
    follow_up_on    date,
    CHECK ((state = 'closed') = (conclusion IS NOT NULL AND closed_at IS NOT NULL)),
    CHECK (conclusion <> 'unverifiable' OR follow_up_on IS NOT NULL)  -- R55
);
CREATE UNIQUE INDEX alert_one_open ON alert (violation_id) WHERE state <> 'closed';
CREATE INDEX alert_violation ON alert (violation_id, alert_id);
CREATE INDEX alert_open ON alert (org_id, due_at) WHERE state <> 'closed';
CREATE INDEX alert_subject ON alert (subject_id, raised_at);
CREATE INDEX alert_list ON alert (raised_at, alert_id);

CREATE TABLE alert_event (
    alert_id   bigint      NOT NULL REFERENCES alert,
    seq        integer     NOT NULL,
    act        text        NOT NULL CHECK (act IN ('raised', 'amended', 'violation_closed', 'withdrawn', 'acknowledged', 'noted', 'closed', 'healed', 'viewed')),
    account_id bigint      REFERENCES account,                      -- NULL: the platform itself
    at         timestamptz NOT NULL,                                -- domain
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),      -- machine
    client     text        NOT NULL DEFAULT '',
    body       jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (alert_id, seq)
);
CREATE TRIGGER alert_event_append_only BEFORE UPDATE OR DELETE ON alert_event FOR EACH ROW EXECUTE FUNCTION refuse_change();

---- create above / drop below ----
DROP TABLE alert_event, alert, handling;
