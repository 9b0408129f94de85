-- Where it matters: zones, rules, what people's devices reported, what was made of it.

CREATE TABLE zone (
    zone_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     bigint      NOT NULL REFERENCES org,
    purpose    text        NOT NULL CHECK (purpose IN ('activity', 'prohibited', 'destination', 'attention')), -- 活动区域 禁止令限制区域 外出目的地 关注区域
    name       text        NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE zone_version (
    zone_id    bigint    NOT NULL REFERENCES zone,
    version    integer   NOT NULL CHECK (version > 0),
    shape      text      NOT NULL CHECK (shape IN ('polygon', 'circle')),
    geom       geometry(Geometry, 4326) NOT NULL,                 -- lon lat; MultiPolygon, or the circle's centre
    radius_m   double precision CHECK (radius_m > 0 AND radius_m <= 500000),
    datum      text      NOT NULL,                                -- as it was declared; geom is WGS-84
    official   boolean   NOT NULL,                                -- false: a demo outline, marked so wherever it is drawn
    source     text      NOT NULL DEFAULT '',
    valid      tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded   tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint   REFERENCES account,
    PRIMARY KEY (zone_id, version),
    CHECK (ST_IsValid(geom) AND NOT ST_IsEmpty(geom)),
    CHECK ((shape = 'polygon' AND GeometryType(geom) = 'MULTIPOLYGON' AND radius_m IS NULL) OR
           (shape = 'circle' AND GeometryType(geom) = 'POINT' AND radius_m IS NOT NULL)),
    EXCLUDE USING gist (zone_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE INDEX zone_version_geom ON zone_version USING gist (geom);
CREATE TRIGGER zone_version_history BEFORE UPDATE ON zone_version FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- subject × kind × zone × legal basis × validity. params: thresholds that differ from the kind's default, by name.
CREATE SEQUENCE rule_id AS bigint;
CREATE TABLE rule (
    rule_id     bigint    NOT NULL,
    version     integer   NOT NULL CHECK (version > 0),
    subject_id  bigint    NOT NULL REFERENCES subject,
    kind        text      NOT NULL CHECK (kind IN ('stay_in', 'keep_out', 'silence')),
    zone_id     bigint    REFERENCES zone,
    legal_basis text      NOT NULL,                               -- legal_basis.code
    document_no text      NOT NULL DEFAULT '',                    -- the judgment, order or decision it rests on
    params      jsonb     NOT NULL DEFAULT '{}',
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    PRIMARY KEY (rule_id, version),
    CHECK ((kind = 'silence') = (zone_id IS NULL)),
    EXCLUDE USING gist (rule_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE INDEX rule_subject ON rule (subject_id) WHERE upper_inf(recorded);
CREATE INDEX rule_zone ON rule (zone_id) WHERE upper_inf(recorded);
CREATE TRIGGER rule_history BEFORE UPDATE ON rule FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- The state evaluation carries from one observation to the next. Whoever evaluates locks the row, and commits only
-- against the version read. facts grows with every recorded change that bears on this subject: a cache of facts is good
-- exactly as long as this number has not moved.
CREATE TABLE subject_state (
    subject_id bigint      PRIMARY KEY REFERENCES subject,
    version    bigint      NOT NULL DEFAULT 0,
    facts      bigint      NOT NULL DEFAULT 0,
    state      jsonb       NOT NULL DEFAULT '{}',
    next_due   timestamptz                                        -- domain time of the earliest timer in state
) WITH (fillfactor = 50);
CREATE INDEX subject_state_due ON subject_state (next_due) WHERE next_due IS NOT NULL;

-- Whoever records a fact that bears on subjects calls this in the same transaction, before it looks at what it changes:
-- the rows stay locked until commit, caches of facts end, and the present is judged again at once. now is domain time.
CREATE FUNCTION facts_changed(subjects bigint[], now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subject_state (subject_id) SELECT DISTINCT s FROM unnest(subjects) s ORDER BY s ON CONFLICT DO NOTHING;
    PERFORM FROM subject_state WHERE subject_id = ANY (subjects) ORDER BY subject_id FOR UPDATE;
    UPDATE subject_state SET facts = facts + 1, next_due = least(next_due, now) WHERE subject_id = ANY (subjects);
END $$;

-- History, by day of fix_at (UTC). No geometry: 1e-7 degrees as int4 halves the cost; position_geom is for GIS tools.
CREATE TABLE position (
    subject_id bigint      NOT NULL,
    fix_at     timestamptz NOT NULL,
    device_id  bigint      NOT NULL,
    boot       bigint      NOT NULL,
    seq        bigint      NOT NULL,
    binding_id bigint      NOT NULL,
    received_at timestamptz NOT NULL,                             -- domain time
    stored_at  timestamptz NOT NULL DEFAULT clock_timestamp(),    -- machine time
    answers    bigint,                                            -- the check this fix answers
    lon_e7     integer     NOT NULL CHECK (lon_e7 BETWEEN -1800000000 AND 1800000000),
    lat_e7     integer     NOT NULL CHECK (lat_e7 BETWEEN -900000000 AND 900000000),
    digest     integer     NOT NULL,                              -- of the observation as sent, keyed
    accuracy_m real,
    speed_mps  real,
    skew_ms    integer,                                           -- received minus sent by the device's clock
    flags      smallint    NOT NULL DEFAULT 0,                    -- geofence.Flag bits: kept, moves nothing
    method     smallint    NOT NULL,                              -- devices.Method
    datum      smallint    NOT NULL,                              -- devices.Datum as sent; what is stored is WGS-84
    satellites smallint,
    battery    smallint,
    strap      smallint,
    signal_dbm smallint,
    charging   boolean,
    cell       text,
    operator   text,
    sim        text,
    PRIMARY KEY (subject_id, fix_at, device_id, boot, seq)
) PARTITION BY RANGE (fix_at);
CREATE INDEX position_received ON position USING brin (received_at);

-- Makes the partition of one UTC day if it is missing. Serialised, so that two owners may ask at once.
CREATE FUNCTION position_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE part text := 'position_' || to_char(day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(x'7a6a7074'::int, 'position'::regclass::oid::int);
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE position INCLUDING ALL)', part);
        EXECUTE format('ALTER TABLE position ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
CREATE VIEW position_geom AS
    SELECT p.*, ST_SetSRID(ST_MakePoint(lon_e7 / 1e7::double precision, lat_e7 / 1e7::double precision), 4326) AS geom FROM position p;

-- Where each subject was last, lawfully. One row a subject; read once a second by consoles.
CREATE TABLE current_position (
    subject_id  bigint      PRIMARY KEY REFERENCES subject,
    geom        geometry(Point, 4326) NOT NULL,
    fix_at      timestamptz NOT NULL,
    device_id   bigint      NOT NULL,
    accuracy_m  real,
    method      smallint    NOT NULL,
    battery     smallint,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp()    -- machine time, for the next look
) WITH (fillfactor = 70);
CREATE INDEX current_position_geom ON current_position USING gist (geom);
CREATE INDEX current_position_written ON current_position (written_at);

-- 信息化核查: a demand, its answer, its result.
CREATE TABLE check_demand (
    check_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id  bigint      NOT NULL REFERENCES subject,
    device_id   bigint      NOT NULL REFERENCES device,
    command_id  bigint      REFERENCES command,
    rule_id     bigint,                                           -- the rule that asks for a confirming fix
    reason      text        NOT NULL CHECK (reason IN ('confirm', 'plan', 'officer')),
    asked_at    timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    state       text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'answered', 'unanswered', 'withdrawn')),
    answered_at timestamptz
);
CREATE INDEX check_demand_subject ON check_demand (subject_id, asked_at);

-- A CheckIn as stored: with its place when it gave one (the place is then a row of position as well).
CREATE TABLE check_in (
    device_id   bigint      NOT NULL,
    boot        bigint      NOT NULL,
    seq         bigint      NOT NULL,
    subject_id  bigint      NOT NULL,
    binding_id  bigint      NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    answers     bigint,
    result      text        NOT NULL DEFAULT '',
    PRIMARY KEY (device_id, boot, seq)
);
CREATE INDEX check_in_subject ON check_in (subject_id, at);

-- A Status as stored: the device's health, never a place.
CREATE TABLE device_status (
    device_id   bigint      NOT NULL,
    boot        bigint      NOT NULL,
    seq         bigint      NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    battery smallint, strap smallint, charging boolean,
    cell text, operator text, signal_dbm smallint, sim text, last_gasp text,
    PRIMARY KEY (device_id, boot, seq)
);

-- 异常情形: an episode in which a rule's condition holds, as the machine found it.
CREATE TABLE violation (
    violation_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id   bigint      NOT NULL REFERENCES subject,
    org_id       bigint      NOT NULL REFERENCES org,              -- supervising office when it opened
    rule_id      bigint      NOT NULL,
    rule_version integer     NOT NULL,
    zone_id      bigint, zone_version integer,
    kind         text        NOT NULL CHECK (kind IN ('left_zone', 'entered_zone', 'passed_through', 'device_silent', 'check_unanswered')),
    channel      text        NOT NULL CHECK (channel IN ('wristband', 'phone')),
    state        text        NOT NULL CHECK (state IN ('open', 'closed', 'withdrawn')),
    version      integer     NOT NULL DEFAULT 1,
    opened_at    timestamptz NOT NULL,                             -- domain: when the condition began to hold
    decided_at   timestamptz NOT NULL,                             -- domain: when we knew
    closed_at    timestamptz,
    late         boolean     NOT NULL DEFAULT false,               -- decided from data older than the lateness limit: review, not siren (R36)
    evidence     jsonb       NOT NULL,
    engine       text        NOT NULL,
    FOREIGN KEY (rule_id, rule_version) REFERENCES rule (rule_id, version),
    FOREIGN KEY (zone_id, zone_version) REFERENCES zone_version (zone_id, version)
);
CREATE UNIQUE INDEX violation_one_open ON violation (subject_id, rule_id, kind) WHERE state = 'open';
CREATE INDEX violation_subject ON violation (subject_id, opened_at);

---- create above / drop below ----
DROP VIEW position_geom;
DROP TABLE violation, device_status, check_in, check_demand, current_position, position, subject_state, rule, zone_version, zone;
DROP SEQUENCE rule_id;
DROP FUNCTION position_partition, facts_changed;
