-- Law that becomes rules: periods as data, what people decided (sanctions, sentences, delegations), and how they decide (proceedings).

-- 期限: how long something may or must take, or how much of it there may be. A correction is a new row with its own effective date.
CREATE TABLE period (
    period_id   bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text      NOT NULL CHECK (code ~ '^[a-z]+(\.[a-z_]+)+$'),
    title       text      NOT NULL, title_en text NOT NULL,
    amount      integer[] NOT NULL CHECK (cardinality(amount) >= 1 AND 0 < ALL (amount) AND 3700 > ALL (amount)),
    unit        text      NOT NULL CHECK (unit IN ('hour', 'day', 'working_day', 'month')),
    first_day   boolean   NOT NULL DEFAULT false,   -- the day on which it begins counts as its first (刑事诉讼法 105 counts it not)
    roll        boolean   NOT NULL DEFAULT false,   -- 节假日顺延: where its last day is a day off, it ends on the next working day
    inclusive   boolean   NOT NULL DEFAULT true,    -- the number itself is within (实施办法 58: 以上、内 include, 超过、以下 do not)
    citation    text      NOT NULL CHECK (citation <> ''),
    evidence    text      NOT NULL CHECK (evidence IN ('statute', 'secondary', 'recalled', 'policy')),
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)) DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)) DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded_by bigint    REFERENCES account,
    EXCLUDE USING gist (code WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER period_history BEFORE UPDATE ON period FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
CREATE TRIGGER period_append_only BEFORE DELETE ON period FOR EACH ROW EXECUTE FUNCTION refuse_change();
INSERT INTO period (code, title, title_en, amount, unit, first_day, roll, inclusive, citation, evidence) VALUES
    ('authority.term', '使用电子定位装置的期限', 'electronic positioning, at most', '{3}', 'month', true, false, true, '社区矫正法 29', 'statute'),
    ('authority.extension', '延长使用电子定位装置的期限，每次', 'each extension of electronic positioning, at most', '{3}', 'month', true, false, true, '社区矫正法 29', 'statute'),
    ('authority.remind', '使用期限届满前提醒', 'reminders before electronic positioning ends', '{14,7,3,1}', 'day', false, false, true, '平台策略（R07）', 'policy'),
    ('authority.removal', '期满前预约拆除', 'a removal appointment is made before the end', '{7}', 'day', false, false, true, '平台策略（R126）', 'policy'),
    ('procuratorate.copy', '批准、延长、解除后抄送人民检察院', 'copy to the procuratorate after approval, extension or lifting', '{5}', 'working_day', false, false, true, '实施办法 32', 'recalled'),
    ('leave.office', '由司法所批准的外出，至多', 'leave a judicial office may grant by delegation, at most', '{7}', 'day', true, false, true, '实施办法 27', 'recalled'),
    ('leave.each', '每次批准外出，至多', 'each grant of leave, at most', '{30}', 'day', true, false, true, '实施办法 27', 'recalled'),
    ('leave.total', '两个月内外出时间累计，至多', 'leave within two months together, at most', '{30}', 'day', true, false, true, '实施办法 27', 'recalled'),
    ('leave.window', '累计外出时间的期间', 'the months over which leave is added up', '{2}', 'month', true, false, true, '实施办法 27', 'recalled'),
    ('leave.ahead', '外出申请一般提前', 'leave is usually asked for ahead by', '{3}', 'day', false, false, true, '实施办法 27', 'recalled'),
    ('leave.stay', '外出途中在他地停留超过', 'a stay elsewhere while on leave, longer than', '{2}', 'hour', true, false, true, '平台策略（R21）；实施办法 28', 'policy'),
    ('leave.delay', '报告延误后等待决定的时间', 'after a delay was reported, how long a decision is waited for', '{12}', 'hour', true, false, true, '平台策略（R21）；实施办法 28', 'policy'),
    ('permit.term', '经常性跨市、县活动的批准，有效期', 'a permit for regular activity across counties lasts', '{6}', 'month', true, false, true, '实施办法 29', 'recalled'),
    ('prohibition.surveillance', '管制的禁止令，至少', 'a prohibition order of public surveillance, at least', '{3}', 'month', true, false, true, '法发〔2011〕9号 6', 'secondary'),
    ('prohibition.probation', '缓刑的禁止令，至少', 'a prohibition order of probation, at least', '{2}', 'month', true, false, true, '法发〔2011〕9号 6', 'secondary');

-- What the law lets one organ do in another's name (社区矫正法 9): who delegated what to whom, when.
CREATE TABLE delegation (
    delegation_id bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    power       text      NOT NULL CHECK (power IN ('leave')),
    by_org      bigint    NOT NULL REFERENCES org,
    to_org      bigint    NOT NULL REFERENCES org CHECK (to_org <> by_org),
    document_no text      NOT NULL CHECK (document_no <> ''),
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    EXCLUDE USING gist (power WITH =, to_org WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER delegation_history BEFORE UPDATE ON delegation FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- 矫正期限: from when until when somebody is under supervision, as the documents say.
CREATE TABLE sentence (
    sentence_id bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id  bigint    NOT NULL REFERENCES subject,
    document_no text      NOT NULL CHECK (document_no <> ''),
    detained_days integer NOT NULL DEFAULT 0 CHECK (detained_days BETWEEN 0 AND 36500), -- before the judgment (刑法 41)
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    EXCLUDE USING gist (subject_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER sentence_history BEFORE UPDATE ON sentence FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- 训诫、警告、治安管理处罚: what people decided on an investigation, and other decisions rest on. Never the machine's (R123).
CREATE TABLE sanction (
    sanction_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id  bigint      NOT NULL REFERENCES subject,
    kind        text        NOT NULL CHECK (kind IN ('admonition', 'warning', 'penalty')), -- 训诫 警告 治安管理处罚
    cause       text        NOT NULL CHECK (cause IN ('refused_to_report', 'other')),
    document_no text        NOT NULL CHECK (document_no <> ''),
    organ       text        NOT NULL CHECK (organ <> ''),
    decided_at  timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_by bigint      REFERENCES account,
    revoked_at  timestamptz CHECK (revoked_at >= decided_at),
    UNIQUE (subject_id, kind, document_no)
);

-- 程序: how an act that changes somebody's liberty comes about, step by step. What a step says is never changed.
CREATE TABLE proceeding (
    proceeding_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('use', 'extend', 'lift', 'exempt', 'leave', 'regular_leave', 'entry')),
    subject_id    bigint      NOT NULL REFERENCES subject,
    org_id        bigint      NOT NULL REFERENCES org,             -- the office that supervised when it was opened
    of_id         bigint      REFERENCES proceeding,               -- the one it goes on from: an extension, a lifting
    state         text        NOT NULL CHECK (state <> ''),        -- its last step that led on
    version       integer     NOT NULL CHECK (version > 0),
    facts         jsonb       NOT NULL,                            -- what the steps established; nothing that identifies a person
    opened_at     timestamptz NOT NULL,
    closed_at     timestamptz
);
CREATE INDEX proceeding_subject ON proceeding (subject_id, proceeding_id);
CREATE INDEX proceeding_open ON proceeding (org_id, proceeding_id) WHERE closed_at IS NULL;
CREATE TABLE proceeding_step (
    proceeding_id bigint      NOT NULL REFERENCES proceeding,
    n             integer     NOT NULL CHECK (n > 0),
    step          text        NOT NULL,
    at            timestamptz NOT NULL,                            -- when it happened
    recorded_at   timestamptz NOT NULL,
    account_id    bigint      REFERENCES account,                  -- NULL: on the command line
    officer_id    bigint      REFERENCES officer,
    client        text        NOT NULL DEFAULT '',
    body          jsonb       NOT NULL,
    sealed        bytea,                                           -- what was written in words: internal/crypto envelope
    PRIMARY KEY (proceeding_id, n)
);
CREATE TRIGGER proceeding_step_append_only BEFORE UPDATE OR DELETE ON proceeding_step FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- 待办: something somebody has to do by a time, because of a decision or a date.
CREATE TABLE task (
    task_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL,
    key           text        NOT NULL,                            -- the same thing is not asked for twice
    subject_id    bigint      NOT NULL REFERENCES subject,
    org_id        bigint      NOT NULL REFERENCES org,
    proceeding_id bigint      REFERENCES proceeding,
    opened_at     timestamptz NOT NULL,
    due_at        timestamptz NOT NULL,
    done_at       timestamptz,
    done_by       bigint      REFERENCES account,
    outcome       text        NOT NULL DEFAULT '',                 -- done, a receipt's number, or why it fell away
    UNIQUE (kind, key)
);
CREATE INDEX task_open ON task (org_id, due_at) WHERE done_at IS NULL;
CREATE INDEX task_subject ON task (subject_id, task_id);

-- 告知书: what somebody is told, in which version; and who was told what, when (个人信息保护法 17, 35; 实施办法 37).
CREATE TABLE notice_text (
    notice_text_id bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text         NOT NULL CHECK (code IN ('positioning', 'check', 'privacy')),
    version     integer      NOT NULL CHECK (version > 0),
    body        text         NOT NULL CHECK (body <> ''),
    recorded_at timestamptz  NOT NULL,
    recorded_by bigint       REFERENCES account,
    UNIQUE (code, version)
);
CREATE TRIGGER notice_text_append_only BEFORE UPDATE OR DELETE ON notice_text FOR EACH ROW EXECUTE FUNCTION refuse_change();
INSERT INTO notice_text (code, version, body, recorded_at) VALUES
    ('positioning', 1, '根据《中华人民共和国社区矫正法》第二十九条，经县级司法行政部门负责人批准，在批准的期限内对你使用电子定位装置。期限内应当：一、全天佩戴，不得拆除、毁坏、遮挡或者转交他人；二、按时充电，保持装置正常工作；三、装置故障或者报警时立即报告司法所；四、配合核查。违反上述要求的，依照《社区矫正法》及其实施办法处理。通过装置获得的信息严格保密，只用于社区矫正工作，不得用于其他用途。期限届满或者不需要继续使用的，及时解除。对决定有异议的，可以向作出决定的机关提出，也可以向人民检察院申诉、控告、检举。', '2020-07-01 00:00+08'),
    ('check', 1, '根据《中华人民共和国社区矫正法》第二十六条，社区矫正机构通过信息化核查等方式了解你的活动情况。请保持通信畅通，在接到核查要求后及时应答。核查获得的信息依法保护，只用于社区矫正工作。', '2020-07-01 00:00+08'),
    ('privacy', 1, '为履行社区矫正法定职责，社区矫正机构处理你的身份信息、联系方式、行踪信息等个人信息。你可以依法查阅、复制、更正本人的个人信息；法律、行政法规规定应当保密或者告知将妨碍履行法定职责的除外。', '2020-07-01 00:00+08');
CREATE TABLE notice (
    notice_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id     bigint      NOT NULL REFERENCES subject,
    notice_text_id bigint      NOT NULL REFERENCES notice_text,
    proceeding_id  bigint      REFERENCES proceeding,
    signed_at      timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    recorded_by    bigint      REFERENCES account
);
CREATE INDEX notice_subject ON notice (subject_id);
CREATE TRIGGER notice_append_only BEFORE UPDATE OR DELETE ON notice FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- An authority is in force only for somebody who was told and signed (R09), and as long as the period of its day says.
ALTER TABLE authority ADD COLUMN informed_at timestamptz, ADD COLUMN proceeding_id bigint REFERENCES proceeding;
ALTER TABLE authority DISABLE TRIGGER authority_history;
UPDATE authority SET informed_at = lower(valid);
ALTER TABLE authority ENABLE TRIGGER authority_history;
ALTER TABLE authority ALTER COLUMN informed_at SET NOT NULL,
    ADD CONSTRAINT authority_informed CHECK (informed_at <= lower(valid)),
    DROP CONSTRAINT authority_three_months;
CREATE FUNCTION authority_term() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE months integer;
BEGIN
    -- Calendar months at Asia/Shanghai; PostgreSQL clamps month ends: 30 Nov + 3 months = 28 Feb (R03).
    SELECT amount[1] INTO months FROM period WHERE code = 'authority.term' AND unit = 'month' AND upper_inf(recorded) AND valid @> lower(NEW.valid);
    IF months IS NULL OR timezone('Asia/Shanghai', upper(NEW.valid)) > timezone('Asia/Shanghai', lower(NEW.valid)) + make_interval(months => months) THEN
        RAISE EXCEPTION 'an authority lasts at most % months', months USING ERRCODE = 'check_violation', CONSTRAINT = 'authority_three_months';
    END IF;
    -- R02: grounds 3 and 4 rest on a decision that is on file.
    IF NEW.ground = 3 AND NOT EXISTS (SELECT FROM sanction s WHERE s.subject_id = NEW.subject_id AND s.kind = 'warning' AND s.cause = 'refused_to_report'
            AND s.document_no = NEW.ground_record AND s.revoked_at IS NULL)
    OR NEW.ground = 4 AND NOT EXISTS (SELECT FROM sanction s WHERE s.subject_id = NEW.subject_id AND s.kind = 'penalty'
            AND s.document_no = NEW.ground_record AND s.revoked_at IS NULL) THEN
        RAISE EXCEPTION 'ground % needs a decision that is on file', NEW.ground USING ERRCODE = 'check_violation', CONSTRAINT = 'authority_ground_record';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER authority_term BEFORE INSERT ON authority FOR EACH ROW EXECUTE FUNCTION authority_term();

---- create above / drop below ----
DROP TRIGGER authority_term ON authority;
DROP FUNCTION authority_term;
ALTER TABLE authority DROP CONSTRAINT authority_informed, DROP COLUMN informed_at, DROP COLUMN proceeding_id,
    ADD CONSTRAINT authority_three_months CHECK (timezone('Asia/Shanghai', upper(valid)) <= timezone('Asia/Shanghai', lower(valid)) + interval '3 months');
DROP TABLE notice, notice_text, task, proceeding_step, proceeding, sanction, sentence, delegation, period;
