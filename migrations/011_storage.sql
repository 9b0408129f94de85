-- History for years: a fix costs little as a row and very little packed, and nothing is kept longer than the law lets us.

-- 基站: how a device was connected when it said something. One row for what many fixes share; removed when no row of position
-- refers to it any more, for together with a SIM a cell says where somebody was.
CREATE TABLE radio (
    radio_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operator text   NOT NULL,
    cell     text   NOT NULL,
    sim      text   NOT NULL,
    used_on  date   NOT NULL,                                     -- UTC; of the last day a fix was stored with it
    UNIQUE (operator, cell, sim)
);

-- The device is the binding's. That a fix is one row whoever stores it sees to under the lock of its device: a key over all
-- of (subject_id, fix_at, device, boot, seq) would cost 100 bytes a row, because people report in turns and every page of it
-- stays half empty.
DROP VIEW position_geom;
ALTER TABLE position ADD radio_id bigint, ADD last_gasp text, ALTER stored_at SET DEFAULT date_trunc('milliseconds', clock_timestamp());
INSERT INTO radio (operator, cell, sim, used_on) SELECT DISTINCT coalesce(operator, ''), coalesce(cell, ''), coalesce(sim, ''), CURRENT_DATE
    FROM position WHERE operator IS NOT NULL OR cell IS NOT NULL OR sim IS NOT NULL;
UPDATE position p SET radio_id = r.radio_id FROM radio r
    WHERE r.operator = coalesce(p.operator, '') AND r.cell = coalesce(p.cell, '') AND r.sim = coalesce(p.sim, '') AND (p.operator, p.cell, p.sim) IS NOT NULL;
ALTER TABLE position DROP CONSTRAINT position_pkey, DROP device_id, DROP operator, DROP cell, DROP sim;
CREATE INDEX position_track ON position (subject_id, fix_at);
CREATE VIEW position_geom AS
    SELECT p.subject_id, p.fix_at, b.device_id, p.boot, p.seq, p.binding_id, p.received_at, p.stored_at, p.answers, p.accuracy_m, p.speed_mps, p.skew_ms,
           p.flags, p.method, p.datum, p.satellites, p.battery, p.strap, p.signal_dbm, p.charging, nullif(r.operator, '') AS operator, nullif(r.cell, '') AS cell, nullif(r.sim, '') AS sim, p.last_gasp, p.lon_e7, p.lat_e7, p.digest,
           ST_SetSRID(ST_MakePoint(lon_e7 / 1e7::double precision, lat_e7 / 1e7::double precision), 4326) AS geom
      FROM position p JOIN binding b USING (binding_id) LEFT JOIN radio r USING (radio_id);

-- Whether a check-in gave a place, which is then a fix of its own.
ALTER TABLE check_in ADD placed boolean NOT NULL DEFAULT false;
UPDATE check_in c SET placed = true FROM position p
    WHERE p.subject_id = c.subject_id AND p.fix_at = c.at AND p.binding_id = c.binding_id AND p.boot = c.boot AND p.seq = c.seq;

-- The fixes of days that are over, an hour or a sparse day in one row; geofence/track says how. A fix is either here or in
-- position, never in both. By month of hour (UTC), which is what retention removes.
CREATE TABLE position_pack (
    subject_id bigint      NOT NULL,
    hour       timestamptz NOT NULL,                              -- when it begins
    hours      smallint    NOT NULL CHECK (hours IN (1, 24)),
    fixes      integer     NOT NULL CHECK (fixes > 0),
    data       bytea       NOT NULL,
    PRIMARY KEY (subject_id, hour)
) PARTITION BY RANGE (hour);
ALTER TABLE position_pack ALTER data SET STORAGE EXTERNAL;        -- it cannot be compressed any more
CREATE FUNCTION position_pack_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE first date := date_trunc('month', month); part text := 'position_pack_' || to_char(month, 'YYYYMM');
BEGIN
    PERFORM pg_advisory_xact_lock(x'7a6a7074'::int, 'position_pack'::regclass::oid::int);
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE position_pack INCLUDING ALL)', part);
        EXECUTE format('ALTER TABLE position_pack ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                       first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
END $$;

-- What retention must not take: the tracks around violations, kept with the case file. Written before a month is removed.
CREATE TABLE evidence_pack (
    violation_id bigint      NOT NULL REFERENCES violation,
    subject_id   bigint      NOT NULL,                            -- whose track: of a meeting both
    hour         timestamptz NOT NULL,
    hours        smallint    NOT NULL,
    fixes        integer     NOT NULL,
    data         bytea       NOT NULL,
    kept_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (violation_id, subject_id, hour)
);
CREATE INDEX evidence_pack_track ON evidence_pack (subject_id, hour);
ALTER TABLE evidence_pack ALTER data SET STORAGE EXTERNAL;

-- How full what can run out was, once a day: the forecast is made from it (R42).
CREATE TABLE limit_sample (
    name     text             NOT NULL,
    day      date             NOT NULL,
    used     double precision NOT NULL,
    capacity double precision NOT NULL CHECK (capacity > 0),
    PRIMARY KEY (name, day)
);

---- create above / drop below ----
DO $$ BEGIN
    IF EXISTS (SELECT FROM position_pack) OR EXISTS (SELECT FROM evidence_pack) THEN
        RAISE EXCEPTION 'history is packed: zhijiao storage unpack first, nothing before this migration can read it';
    END IF;
END $$;
DROP TABLE limit_sample, evidence_pack, position_pack;
DROP FUNCTION position_pack_partition;
ALTER TABLE check_in DROP placed;
DROP VIEW position_geom;
ALTER TABLE position ADD device_id bigint, ADD operator text, ADD cell text, ADD sim text, ALTER stored_at SET DEFAULT clock_timestamp();
UPDATE position p SET device_id = b.device_id FROM binding b WHERE b.binding_id = p.binding_id;
UPDATE position p SET operator = nullif(r.operator, ''), cell = nullif(r.cell, ''), sim = nullif(r.sim, '') FROM radio r WHERE r.radio_id = p.radio_id;
DROP INDEX position_track;
ALTER TABLE position ALTER device_id SET NOT NULL, DROP radio_id, DROP last_gasp, ADD PRIMARY KEY (subject_id, fix_at, device_id, boot, seq);
CREATE VIEW position_geom AS
    SELECT p.*, ST_SetSRID(ST_MakePoint(lon_e7 / 1e7::double precision, lat_e7 / 1e7::double precision), 4326) AS geom FROM position p;
DROP TABLE radio;
