-- 行级安全: the second net under every query about cases. What the console reads, it reads as zhijiao_reader, and of these tables that role sees
-- the rows of one scope, which is set with the connection (zhijiao.scope, see org_subtree); with none it sees nothing. Whoever else works on
-- these tables does so as a member of zhijiao_worker. The roles belong to the server: migrations.Prepare makes them.
--
-- A person belongs to whoever supervises or supervised them: an office that handled an alert still knows whom it was about after a move. That an
-- office sees of a person only what is its own today, the queries say themselves.

DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO zhijiao_reader', current_schema()); END $$;

CREATE FUNCTION scope_now() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT coalesce(nullif(current_setting('zhijiao.scope', true), ''), '0')::bigint $$;
-- Whether a scope is all there is. Then zhijiao_whole reads, a reader from whom nothing is held back: to ask of each row what is true of all would
-- only mislead the planner.
CREATE FUNCTION scope_whole() RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT count(*) = 1 AND bool_or(org_id = scope_now()) FROM org WHERE parent_id IS NULL $$;
-- The organisations above a scope, whose zones and schedules apply to it.
CREATE FUNCTION org_above(root bigint) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 5 AS $$
    WITH RECURSIVE t AS (
        SELECT org_id, parent_id FROM org WHERE root > 0 AND org_id = root
        UNION SELECT o.org_id, o.parent_id FROM org o WHERE root < 0 AND (o.org_id = (SELECT a.org_id FROM account a WHERE a.account_id = -root)
            OR o.org_id IN (SELECT c.org_id FROM cover_duty c WHERE c.account_id = -root AND c.ended_at IS NULL AND c.valid @> clock_timestamp()))
        UNION SELECT o.org_id, o.parent_id FROM org o JOIN t ON t.parent_id = o.org_id)
    SELECT org_id FROM t
$$;

CREATE FUNCTION rowsec(name text, sees text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY whole ON %I TO zhijiao_worker USING (true) WITH CHECK (true)', name);
    EXECUTE format('CREATE POLICY scoped ON %I FOR SELECT TO zhijiao_reader USING (%s)', name, sees);
    EXECUTE format('CREATE POLICY everything ON %I FOR SELECT TO zhijiao_whole USING (true)', name);
    EXECUTE format('GRANT SELECT ON %I TO zhijiao_reader', name);
END $$;

SELECT rowsec('subject_office', 'org_id IN (SELECT org_subtree(scope_now()))');
-- What hangs on a person. Somebody whom a relation protects (被保护人) has no office, and nobody reads of them here.
SELECT rowsec(t, format('EXISTS (SELECT FROM subject_office o WHERE o.subject_id = %I.subject_id)', t)) FROM unnest(ARRAY[
    'subject', 'subject_person', 'notice', 'subject_access', 'attachment', 'authority', 'check_demand', 'check_in', 'current_position', 'outage_person', 'binding',
    'proceeding', 'prohibition', 'sanction', 'sentence', 'suspension', 'task']) t;
-- What was one office's matter stays it.
SELECT rowsec('alert', 'org_id IN (SELECT org_subtree(scope_now()))');
SELECT rowsec('alert_event', 'EXISTS (SELECT FROM alert a WHERE a.alert_id = alert_event.alert_id)');
SELECT rowsec('violation', 'org_id IN (SELECT org_subtree(scope_now())) OR EXISTS (SELECT FROM subject_office o WHERE o.subject_id = violation.subject_id)');
SELECT rowsec('proceeding_step', 'EXISTS (SELECT FROM proceeding p WHERE p.proceeding_id = proceeding_step.proceeding_id)');
SELECT rowsec('relation', 'EXISTS (SELECT FROM subject_office o WHERE o.subject_id IN (relation.subject_id, relation.other_id))');
SELECT rowsec('rule', 'EXISTS (SELECT FROM subject_office o WHERE o.subject_id = rule.subject_id)
    OR org_id IN (SELECT org_subtree(scope_now()) UNION SELECT org_above(scope_now()))');
-- Zones may be homes: those of the organisations in scope and above it, and what something in scope was decided on.
SELECT rowsec('zone', 'org_id IN (SELECT org_subtree(scope_now()) UNION SELECT org_above(scope_now()))
    OR EXISTS (SELECT FROM rule r WHERE r.zone_id = zone.zone_id) OR EXISTS (SELECT FROM violation v WHERE v.zone_id = zone.zone_id)');
SELECT rowsec('zone_version', 'EXISTS (SELECT FROM zone z WHERE z.zone_id = zone_version.zone_id)');
SELECT rowsec('device', 'org_id IN (SELECT org_subtree(scope_now())) OR EXISTS (SELECT FROM binding b WHERE b.device_id = device.device_id)');
SELECT rowsec(t, format('EXISTS (SELECT FROM device d WHERE d.device_id = %I.device_id)', t)) FROM unnest(ARRAY['device_status', 'command']) t;
DROP FUNCTION rowsec;
CREATE INDEX IF NOT EXISTS rule_zone ON rule (zone_id);
CREATE INDEX IF NOT EXISTS violation_zone ON violation (zone_id);

-- Positions have no policy of their own: a question to 10^9 rows would be asked of each. Whoever reads them asks for the person first (ReadTrack).
GRANT SELECT ON position, position_pack, evidence_pack, radio TO zhijiao_reader;
-- What is about nobody.
GRANT SELECT ON org, officer, legal_basis, handling, period, delegation, notice_text, calendar_day, calendar_year, schedule, schedule_version,
    outage, deployment, domain_clock, observation_count, model_floor, model_datum, source_watermark, decision_effect, cover_duty, ledger_cursor, partition_lease, device_health TO zhijiao_reader;
GRANT SELECT (account_id, name, officer_id, org_id, disabled_at) ON account TO zhijiao_reader;
GRANT SELECT (pos, written_at) ON ledger TO zhijiao_reader;
GRANT SELECT (device_id, revoked_at, expires_at) ON device_credential TO zhijiao_reader;
GRANT SELECT (device_id, used_at, tries, expires_at) ON enrolment_code TO zhijiao_reader;

---- create above / drop below ----
DROP INDEX IF EXISTS rule_zone, violation_zone;
DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema() LOOP
        EXECUTE format('DROP POLICY %I ON %I', t.policyname, t.tablename);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', t.tablename);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', t.tablename);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM zhijiao_reader', current_schema());
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM zhijiao_reader', current_schema());
END $$;
DROP FUNCTION org_above, scope_whole, scope_now;
