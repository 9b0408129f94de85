-- 区域中断 (R128): when most of those who share an operator, a town or a cell fall silent together, it is the network and not
-- them. Everybody's own clock runs on; reminders stand under the one incident; at its end everybody is checked again.
CREATE TABLE outage (
    outage_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope       text        NOT NULL CHECK (scope IN ('operator', 'town', 'cell')),
    key         text        NOT NULL CHECK (key <> ''),           -- the operator's code, the office's org_id, the cell
    cause       text        NOT NULL CHECK (cause IN ('data', 'declared')),
    expected    integer     NOT NULL DEFAULT 0,                   -- how many were expected to speak when it was told
    silent      integer     NOT NULL DEFAULT 0,                   -- and how many did not
    since       timestamptz NOT NULL,                             -- domain: when the first of them was last heard
    opened_at   timestamptz NOT NULL,                             -- domain: when it was told
    ended_at    timestamptz,
    note        text        NOT NULL DEFAULT '',
    declared_by bigint      REFERENCES account,
    ended_by    bigint      REFERENCES account,                   -- NULL when ended: by the data
    CHECK ((cause = 'declared') = (declared_by IS NOT NULL)),
    CHECK (ended_by IS NULL OR ended_at IS NOT NULL)
);
CREATE UNIQUE INDEX outage_one_open ON outage (scope, key) WHERE ended_at IS NULL;
-- Who could not be verified while it went on: the list of who is checked again (补核查).
CREATE TABLE outage_person (
    outage_id    bigint      NOT NULL REFERENCES outage,
    subject_id   bigint      NOT NULL REFERENCES subject,
    device_id    bigint      NOT NULL REFERENCES device,
    silent_since timestamptz NOT NULL,
    verified_at  timestamptz,
    verified_how text        CHECK (verified_how IN ('heard', 'officer')),
    verified_by  bigint      REFERENCES account,
    note         text        NOT NULL DEFAULT '',
    PRIMARY KEY (outage_id, subject_id),
    CHECK ((verified_at IS NULL) = (verified_how IS NULL)),
    CHECK ((verified_how = 'officer') = (verified_by IS NOT NULL))
);
CREATE INDEX outage_person_subject ON outage_person (subject_id);
-- One row: up to when it was looked whether an area is away. Domain time.
CREATE TABLE outage_front (
    one boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL
);
INSERT INTO outage_front (at) VALUES ('epoch');
ALTER TABLE alert ADD outage_id bigint REFERENCES outage;          -- it stands under this incident, while that goes on
ALTER TABLE alert_event DROP CONSTRAINT alert_event_act_check, ADD CONSTRAINT alert_event_act_check CHECK (act IN
    ('raised', 'amended', 'violation_closed', 'withdrawn', 'acknowledged', 'noted', 'closed', 'healed', 'viewed', 'held', 'released'));
CREATE INDEX alert_outage ON alert (outage_id) WHERE outage_id IS NOT NULL;

---- create above / drop below ----
ALTER TABLE alert_event DROP CONSTRAINT alert_event_act_check, ADD CONSTRAINT alert_event_act_check CHECK (act IN
    ('raised', 'amended', 'violation_closed', 'withdrawn', 'acknowledged', 'noted', 'closed', 'healed', 'viewed')) NOT VALID;
ALTER TABLE alert DROP outage_id;
DROP TABLE outage_front, outage_person, outage;
