-- Personal data: of whom they are shown, to whom they are given, what a person may ask, and when they go.

-- R88: the flag of somebody who was a minor at the time of the offence stays after they come of age (社区矫正法 52, 54, 58); only a correction that says why ends it.
ALTER TABLE subject ADD COLUMN juvenile boolean NOT NULL DEFAULT false, ADD COLUMN juvenile_note text NOT NULL DEFAULT '', ADD COLUMN blocked_at timestamptz;
ALTER TABLE officer ADD COLUMN juvenile_team boolean NOT NULL DEFAULT false;        -- 未成年社区矫正小组 (社区矫正法 52)
CREATE FUNCTION subject_juvenile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.juvenile AND NOT NEW.juvenile AND (NEW.juvenile_note = '' OR NEW.juvenile_note = OLD.juvenile_note) THEN
        RAISE EXCEPTION 'that somebody was a minor does not end; a correction says why' USING ERRCODE = 'check_violation', CONSTRAINT = 'subject_juvenile';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subject_juvenile BEFORE UPDATE ON subject FOR EACH ROW EXECUTE FUNCTION subject_juvenile();

-- 盲索引: keyed digests by which somebody is found without opening an envelope; the key is not in the database (R111).
ALTER TABLE subject_person ADD COLUMN name_index bytea, ADD COLUMN id_index bytea, ADD COLUMN phone_index bytea;
CREATE INDEX subject_person_name ON subject_person (name_index);
CREATE INDEX subject_person_number ON subject_person (id_index);
CREATE INDEX subject_person_phone ON subject_person (phone_index);

-- R102: on what data may be given to others. Law as data: a correction is a new row.
CREATE TABLE disclosure_basis (
    disclosure_basis_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text      NOT NULL,
    title      text      NOT NULL,
    title_en   text      NOT NULL,
    citation   text      NOT NULL,
    recipients text[]    NOT NULL,                               -- kinds of organ
    positions  boolean   NOT NULL,                               -- whether it is community correction, which alone positions may serve (社区矫正法 29 ¶3)
    juveniles  boolean   NOT NULL,                               -- whether records of minors may be given on it (社区矫正法 54)
    valid      tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded   tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    EXCLUDE USING gist (code WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER disclosure_basis_history BEFORE UPDATE ON disclosure_basis FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
INSERT INTO disclosure_basis (code, title, title_en, citation, recipients, positions, juveniles) VALUES
    ('revocation',  '提请撤销缓刑、假释，收监执行',   'proposal to revoke probation or parole, or to commit to prison', '社区矫正法 46–49；实施办法 46–49', '{court,procuratorate,police}', true,  true),
    ('penalty',     '提请治安管理处罚',               'proposal of a public security penalty',                         '社区矫正法 28、59；实施办法 36',  '{police}',                     true,  true),
    ('search',      '查找失去联系的社区矫正对象',     'search for somebody who lost contact',                           '社区矫正法 30；实施办法 38',      '{police}',                     true,  true),
    ('supervision', '接受人民检察院法律监督',         'supervision by the procuratorate',                              '社区矫正法 8、62；刑诉规则 642–644', '{procuratorate}',           true,  true),
    ('case',        '办案需要调取（不含电子定位信息）', 'needed for a case (no positions)',                            '个人信息保护法 34；社区矫正法 29 ¶3', '{court,procuratorate,police}', false, true),
    ('inquiry',     '有关单位依照国家规定查询',       'inquiry by others under national rules',                        '个人信息保护法 23、34',           '{other}',                      false, false);
CREATE TABLE disclosure (
    disclosure_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id     bigint      NOT NULL REFERENCES subject,
    basis          text        NOT NULL,
    recipient_kind text        NOT NULL CHECK (recipient_kind IN ('court', 'procuratorate', 'police', 'other')),
    recipient      text        NOT NULL CHECK (recipient <> ''),
    document_no    text        NOT NULL CHECK (document_no <> ''),
    fields         text[]      NOT NULL CHECK (cardinality(fields) > 0 AND fields <@ '{person,sentence,decisions,alerts,positions,checks,evidence}'),
    purpose        text        NOT NULL CHECK (purpose <> ''),
    stretch        tstzrange   NOT NULL,
    decided_by     bigint      REFERENCES officer,
    recorded_at    timestamptz NOT NULL,
    recorded_by    bigint      REFERENCES account
);
CREATE INDEX disclosure_subject ON disclosure (subject_id);
CREATE TRIGGER disclosure_append_only BEFORE UPDATE OR DELETE ON disclosure FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- R114: what a person asks about their own data, and what came of it (个人信息保护法 44–50). words: an envelope.
CREATE TABLE request_exception (
    code text PRIMARY KEY, title text NOT NULL, title_en text NOT NULL, citation text NOT NULL
);
INSERT INTO request_exception VALUES
    ('secrecy',  '法律、行政法规规定应当保密',       'secrecy required by law',                  '个人信息保护法 18、45'),
    ('duty',     '告知或者提供将妨碍履行法定职责',   'it would hinder a statutory duty',         '个人信息保护法 18、35、45'),
    ('keeping',  '法律、行政法规规定的保存期限未届满', 'the legal period of keeping is not over', '个人信息保护法 47'),
    ('others',   '涉及他人个人信息',                 'it is about others',                       '个人信息保护法 44'),
    ('unproven', '更正请求经核实不成立',             'the correction was checked and is wrong',  '个人信息保护法 46');
CREATE TABLE data_request (
    request_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id  bigint      NOT NULL REFERENCES subject,
    kind        text        NOT NULL CHECK (kind IN ('access', 'correction', 'deletion', 'objection')),
    words       bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    received_by bigint      REFERENCES account,
    decision    text        CHECK (decision IN ('granted', 'refused')),
    exception   text        REFERENCES request_exception,
    reason      text        NOT NULL DEFAULT '',
    decided_at  timestamptz,
    decided_by  bigint      REFERENCES account,
    done_at     timestamptz,                                     -- the person was told, and what was granted was done
    outcome     text        NOT NULL DEFAULT '',
    CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CHECK ((decision IS NOT DISTINCT FROM 'refused') = (exception IS NOT NULL)),
    CHECK (decision IS DISTINCT FROM 'refused' OR reason <> '')
);
CREATE INDEX data_request_subject ON data_request (subject_id);
INSERT INTO period (code, title, title_en, amount, unit, first_day, roll, inclusive, citation, evidence) VALUES
    ('request.answer', '答复个人信息请求', 'answer to a request about personal data', '{15}', 'day', false, true, true, 'GB/T 35273-2020 8.7（三十日内或法律规定期限）；本平台从严', 'policy');
-- What stood in subject_person before a correction; sealed as it was.
CREATE TABLE person_history (
    subject_id  bigint      NOT NULL REFERENCES subject,
    replaced_at timestamptz NOT NULL,
    request_id  bigint      REFERENCES data_request,
    surname text NOT NULL, name bytea NOT NULL, id_number bytea, phone bytea, address bytea, contacts bytea
);
CREATE INDEX person_history_subject ON person_history (subject_id);

-- R115: 个人信息保护影响评估, kept three years and longer (个人信息保护法 55, 56).
CREATE TABLE assessment (
    assessment_id bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what        text        NOT NULL CHECK (what IN ('rule_kind', 'source')),
    code        text        NOT NULL,
    document_no text        NOT NULL CHECK (document_no <> ''),
    lawful      text        NOT NULL CHECK (lawful <> ''),       -- whether purpose and manner are lawful, justified, necessary
    impact      text        NOT NULL CHECK (impact <> ''),
    measures    text        NOT NULL CHECK (measures <> ''),
    assessor    text        NOT NULL CHECK (assessor <> ''),
    reviewer    text        NOT NULL DEFAULT '',
    provisional boolean     NOT NULL DEFAULT false,              -- shipped with the program: the centre has not assessed it itself
    valid       tstzrange   NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
    recorded_at timestamptz NOT NULL,
    recorded_by bigint      REFERENCES account
);
CREATE INDEX assessment_code ON assessment (what, code);
CREATE TRIGGER assessment_append_only BEFORE UPDATE OR DELETE ON assessment FOR EACH ROW EXECUTE FUNCTION refuse_change();
INSERT INTO assessment (what, code, document_no, lawful, impact, measures, assessor, provisional, valid, recorded_at)
    SELECT w, c, '模板（待复核）', '履行社区矫正法定职责所必需（社区矫正法 26、29；个人信息保护法 34）；由矫正机构结合本地情况复核。',
        '处理行踪轨迹等敏感个人信息，错误判定可能影响人身自由。', '按权限和目的分级查看并留痕、默认脱敏、字段加密、到期停止采集、证据可复核、保存期限届满删除。', '随程序提供', true, '[2020-07-01 00:00+08,)', '2020-07-01 00:00+08'
    FROM (SELECT 'rule_kind' AS w, unnest(ARRAY['stay_in', 'keep_out', 'silence', 'check_in', 'dwell', 'gathering', 'leave', 'return', 'location', 'power', 'presence', 'proximity', 'separation', 'strap']) AS c
          UNION ALL SELECT 'source', unnest(ARRAY['wristband', 'phone', 'jt808', 'osmand', 'owntracks', 'traccar'])) x;
-- A rule of a kind that nobody assessed is not put into force. Kinds that an older program knew under other names are those it has rules of.
INSERT INTO assessment (what, code, document_no, lawful, impact, measures, assessor, provisional, valid, recorded_at)
    SELECT DISTINCT 'rule_kind', kind, '模板（待复核）', '同类规则沿用', '同类规则沿用', '同类规则沿用', '随程序提供', true, '[2020-07-01 00:00+08,)'::tstzrange, '2020-07-01 00:00+08'::timestamptz
    FROM rule WHERE NOT EXISTS (SELECT FROM assessment a WHERE a.what = 'rule_kind' AND a.code = rule.kind);
CREATE FUNCTION rule_assessed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM assessment WHERE what = 'rule_kind' AND code = NEW.kind AND valid @> lower(NEW.recorded)) THEN
        RAISE EXCEPTION 'no impact assessment of rules of kind % is current (个人信息保护法 55)', NEW.kind USING ERRCODE = 'check_violation', CONSTRAINT = 'rule_assessed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rule_assessed BEFORE INSERT ON rule FOR EACH ROW EXECUTE FUNCTION rule_assessed();

-- R113: how long after the end of supervision what is kept, and what then becomes of it.
CREATE TABLE retention_policy (
    retention_policy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what     text      NOT NULL CHECK (what IN ('positions', 'contact', 'person')),
    months   integer   NOT NULL CHECK (months >= 0),
    action   text      NOT NULL CHECK (action IN ('delete', 'block')),
    citation text      NOT NULL,
    valid    tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    EXCLUDE USING gist (what WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER retention_policy_history BEFORE UPDATE ON retention_policy FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
INSERT INTO retention_policy (what, months, action, citation) VALUES
    ('positions', 24, 'delete', '个人信息保护法 19、47（实现处理目的所必要的最短时间；具体期限为本机构政策）；证据随异常情形另行保存'),
    ('contact',   24, 'delete', '个人信息保护法 19、47；本机构政策'),
    ('person',    36, 'block',  '个人信息保护法 47 ¶2（法定保存期限未届满的，停止除存储和必要安全保护之外的处理）；矫正档案另有期限');
CREATE TABLE retention_run (
    retention_run_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at               timestamptz NOT NULL,
    report           jsonb       NOT NULL,                       -- per person and kind: rows before and after, and the policy
    hash             bytea       NOT NULL                        -- SHA-256 of the report as text
);
CREATE TRIGGER retention_run_append_only BEFORE UPDATE OR DELETE ON retention_run FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The second net under these too.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['disclosure', 'data_request'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY whole ON %I TO zhijiao_worker USING (true) WITH CHECK (true)', t);
        EXECUTE format('CREATE POLICY everything ON %I FOR SELECT TO zhijiao_whole USING (true)', t);
        EXECUTE format('CREATE POLICY scoped ON %I FOR SELECT TO zhijiao_reader USING (EXISTS (SELECT FROM subject_office o WHERE o.subject_id = %I.subject_id))', t, t);
        EXECUTE format('GRANT SELECT ON %I TO zhijiao_reader', t);
    END LOOP;
END $$;
GRANT SELECT ON disclosure_basis, request_exception, assessment, retention_policy TO zhijiao_reader;

---- create above / drop below ----
DROP TRIGGER rule_assessed ON rule;
DROP FUNCTION rule_assessed;
DROP TABLE retention_run, retention_policy, assessment, person_history, data_request, request_exception, disclosure, disclosure_basis;
ALTER TABLE period DISABLE TRIGGER USER;
DELETE FROM period WHERE code = 'request.answer';
ALTER TABLE period ENABLE TRIGGER USER;
DROP TRIGGER subject_juvenile ON subject;
DROP FUNCTION subject_juvenile;
ALTER TABLE officer DROP COLUMN juvenile_team;
DROP INDEX subject_person_name, subject_person_number, subject_person_phone;
ALTER TABLE subject_person DROP COLUMN name_index, DROP COLUMN id_index, DROP COLUMN phone_index;
ALTER TABLE subject DROP COLUMN blocked_at, DROP COLUMN juvenile_note, DROP COLUMN juvenile;
