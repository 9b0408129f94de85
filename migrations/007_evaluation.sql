-- Evaluation in event order: the past is derived again when something bears on it that was not known.

-- Which kinds of rules and violations there are the registry in geofence says; a list here would be a second one.
ALTER TABLE rule DROP CONSTRAINT rule_kind_check, DROP CONSTRAINT rule_check;
ALTER TABLE violation DROP CONSTRAINT violation_kind_check;

-- From dirty_from on the subject is to be derived again; why is the first cause, a fact before late data. Machine times
-- say since when, and when last: a backlog is waited for, but not for ever.
ALTER TABLE subject_state ADD dirty_from timestamptz, ADD dirty_why jsonb, ADD dirty_since timestamptz, ADD dirty_at timestamptz,
    ADD CHECK ((dirty_from IS NULL) = (dirty_since IS NULL) AND (dirty_from IS NULL) = (dirty_at IS NULL));
CREATE INDEX subject_state_dirty ON subject_state (dirty_since) WHERE dirty_from IS NOT NULL;

-- As in 004, and where the fact reaches back before now the past is derived again from there: who, when and why is in why.
DROP FUNCTION facts_changed(bigint[], timestamptz);
CREATE FUNCTION facts_changed(subjects bigint[], now timestamptz, since timestamptz DEFAULT NULL, why jsonb DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subject_state (subject_id) SELECT DISTINCT s FROM unnest(subjects) s ORDER BY s ON CONFLICT DO NOTHING;
    PERFORM FROM subject_state WHERE subject_id = ANY (subjects) ORDER BY subject_id FOR UPDATE;
    UPDATE subject_state SET facts = facts + 1, next_due = least(next_due, now) WHERE subject_id = ANY (subjects);
    IF since <= now THEN
        UPDATE subject_state SET dirty_from = least(dirty_from, since), dirty_why = coalesce(why, dirty_why),
               dirty_since = coalesce(dirty_since, clock_timestamp()), dirty_at = clock_timestamp()
         WHERE subject_id = ANY (subjects);
    END IF;
END $$;

-- The state of a subject when everything up to an instant had been judged: one an hour, and before each opening. Deriving
-- again starts from the last one before what changed.
CREATE TABLE state_checkpoint (
    subject_id bigint      NOT NULL REFERENCES subject,
    at         timestamptz NOT NULL,
    state      jsonb       NOT NULL,
    PRIMARY KEY (subject_id, at)
);
CREATE INDEX state_checkpoint_at ON state_checkpoint USING brin (at);

-- When we did not listen: nobody is silent to the deaf. Domain time.
CREATE TABLE deaf (
    deaf_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    during      tstzrange   NOT NULL CHECK (NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)),
    cause       text        NOT NULL CHECK (cause IN ('server_down', 'broker_away', 'backlog')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    EXCLUDE USING gist (during WITH &&)
);
-- One row: up to when somebody listened.
CREATE TABLE listening (
    one boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL
);

-- 时段: the local-time windows in which rules apply (R16).
CREATE TABLE schedule (
    schedule_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id      bigint      NOT NULL REFERENCES org,
    name        text        NOT NULL CHECK (name <> ''),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE schedule_version (
    schedule_id bigint    NOT NULL REFERENCES schedule,
    version     integer   NOT NULL CHECK (version > 0),
    doc         jsonb     NOT NULL,                               -- geofence.ParseSchedule
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    PRIMARY KEY (schedule_id, version),
    EXCLUDE USING gist (schedule_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER schedule_version_history BEFORE UPDATE ON schedule_version FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
ALTER TABLE rule ADD schedule_id bigint REFERENCES schedule;
CREATE INDEX rule_schedule ON rule (schedule_id) WHERE upper_inf(recorded) AND schedule_id IS NOT NULL;

-- 节假日安排: what the State Council orders for a year, as data. A year without a row in calendar_year is not known, and
-- whoever uses it says so.
CREATE TABLE calendar_year (
    year        integer     NOT NULL CHECK (year BETWEEN 2020 AND 2100),
    source      text        NOT NULL CHECK (source <> ''),        -- the notice, e.g. 国办发明电〔2025〕7号
    official    boolean     NOT NULL,
    recorded    tstzrange   NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint      REFERENCES account,
    EXCLUDE USING gist (year WITH =, recorded WITH &&)
);
CREATE TABLE calendar_day (
    day         date        NOT NULL,
    off         boolean     NOT NULL,                             -- false: worked although it is a Saturday or Sunday
    name        text        NOT NULL DEFAULT '',
    recorded    tstzrange   NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint      REFERENCES account,
    EXCLUDE USING gist (day WITH =, recorded WITH &&)
);
CREATE TRIGGER calendar_year_history BEFORE UPDATE ON calendar_year FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
CREATE TRIGGER calendar_day_history BEFORE UPDATE ON calendar_day FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- What officers record of the device being on the person (R122): 复位确认, or a separation that is accepted.
CREATE TABLE attachment (
    attachment_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id    bigint      NOT NULL REFERENCES subject,
    what          text        NOT NULL CHECK (what IN ('reset_confirmed', 'separation_accepted')),
    at            timestamptz NOT NULL,
    how           text        NOT NULL CHECK (how IN ('seen', 'video', 'refitted', 'lead')), -- 当面查验 视频查验 重新佩戴 线索
    note          text        NOT NULL DEFAULT '',
    recorded      tstzrange   NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by   bigint      REFERENCES account
);
CREATE INDEX attachment_subject ON attachment (subject_id, at) WHERE upper_inf(recorded);
CREATE TRIGGER attachment_history BEFORE UPDATE ON attachment FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
ALTER TABLE current_position ADD detached boolean NOT NULL DEFAULT false; -- of the device: the person may be elsewhere

ALTER TABLE check_demand ADD because_at timestamptz;              -- of the fix that made a rule ask
ALTER TABLE violation ADD merged_into bigint REFERENCES violation; -- withdrawn: the episode it turned out to be part of
CREATE INDEX device_status_at ON device_status (device_id, at);

-- R17: Chinese law knows no curfew. A rule that binds only at some times needs a prohibition order, or it yields a lead; that
-- a check is asked for at certain times is what a check is (社区矫正法 26).
ALTER TABLE legal_basis ADD timed_class text NOT NULL DEFAULT 'lead' CHECK (timed_class IN ('alarm', 'reminder', 'lead'));
ALTER TABLE legal_basis DISABLE TRIGGER legal_basis_history;
UPDATE legal_basis SET timed_class = CASE code WHEN 'prohibition' THEN 'alarm' WHEN 'check' THEN 'reminder' ELSE 'lead' END;
ALTER TABLE legal_basis ENABLE TRIGGER legal_basis_history;

-- Tampering stays until a person closes it; a battery never looks like a breach (R49, R52).
INSERT INTO handling (kind, channel, class, acknowledge_s, heals) VALUES
    ('strap_opened',  'wristband', 'alarm',    120,  false),
    ('strap_opened',  'phone',     'alarm',    120,  false),
    ('low_battery',   'wristband', 'reminder', 3600, true),
    ('low_battery',   'phone',     'reminder', 7200, true),
    ('power_lost',    'wristband', 'reminder', 900,  true),
    ('power_lost',    'phone',     'reminder', 3600, true),
    ('location_lost', 'wristband', 'reminder', 900,  true),
    ('location_lost', 'phone',     'reminder', 3600, true),
    ('separated',     'wristband', 'lead',     3600, false),
    ('separated',     'phone',     'lead',     3600, false),
    ('dwelt',         'wristband', 'lead',     7200, false),
    ('dwelt',         'phone',     'lead',     7200, false),
    ('absent',        'wristband', 'alarm',    900,  false),
    ('absent',        'phone',     'alarm',    900,  false),
    ('unverified',    'wristband', 'reminder', 1800, true),
    ('unverified',    'phone',     'reminder', 1800, true),
    ('check_missed',  'wristband', 'reminder', 3600, true),
    ('check_missed',  'phone',     'reminder', 3600, true);

-- A corridor is everything within radius_m of a line: an approved route (R30).
ALTER TABLE zone_version DROP CONSTRAINT zone_version_shape_check, DROP CONSTRAINT zone_version_check,
    ADD CONSTRAINT zone_version_shape_check CHECK (shape IN ('polygon', 'circle', 'corridor')),
    ADD CONSTRAINT zone_version_check CHECK (
        (shape = 'polygon' AND GeometryType(geom) = 'MULTIPOLYGON' AND radius_m IS NULL) OR
        (shape = 'circle' AND GeometryType(geom) = 'POINT' AND radius_m IS NOT NULL) OR
        (shape = 'corridor' AND GeometryType(geom) = 'LINESTRING' AND radius_m <= 20000));

---- create above / drop below ----
ALTER TABLE zone_version DROP CONSTRAINT zone_version_shape_check, DROP CONSTRAINT zone_version_check,
    ADD CONSTRAINT zone_version_shape_check CHECK (shape IN ('polygon', 'circle')),
    ADD CONSTRAINT zone_version_check CHECK (
        (shape = 'polygon' AND GeometryType(geom) = 'MULTIPOLYGON' AND radius_m IS NULL) OR
        (shape = 'circle' AND GeometryType(geom) = 'POINT' AND radius_m IS NOT NULL));
DROP INDEX device_status_at;
DELETE FROM handling WHERE kind IN ('strap_opened', 'low_battery', 'power_lost', 'location_lost', 'separated', 'dwelt', 'absent', 'unverified', 'check_missed');
ALTER TABLE legal_basis DROP timed_class;
ALTER TABLE violation DROP merged_into;
ALTER TABLE current_position DROP detached;
DROP TABLE attachment, calendar_day, calendar_year;
ALTER TABLE rule DROP schedule_id;
DROP TABLE schedule_version, schedule;
ALTER TABLE check_demand DROP because_at;
DROP TABLE listening, deaf, state_checkpoint;
DROP FUNCTION facts_changed(bigint[], timestamptz, timestamptz, jsonb);
CREATE FUNCTION facts_changed(subjects bigint[], now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subject_state (subject_id) SELECT DISTINCT s FROM unnest(subjects) s ORDER BY s ON CONFLICT DO NOTHING;
    PERFORM FROM subject_state WHERE subject_id = ANY (subjects) ORDER BY subject_id FOR UPDATE;
    UPDATE subject_state SET facts = facts + 1, next_due = least(next_due, now) WHERE subject_id = ANY (subjects);
END $$;
ALTER TABLE subject_state DROP dirty_from, DROP dirty_why, DROP dirty_since, DROP dirty_at;
ALTER TABLE violation ADD CONSTRAINT violation_kind_check CHECK (kind IN ('left_zone', 'entered_zone', 'passed_through', 'device_silent', 'check_unanswered'));
ALTER TABLE rule ADD CONSTRAINT rule_kind_check CHECK (kind IN ('stay_in', 'keep_out', 'silence')),
    ADD CONSTRAINT rule_check CHECK ((kind = 'silence') = (zone_id IS NULL));
