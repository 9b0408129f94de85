-- Organisation, people who work, people under supervision, and the law that applies to them.

CREATE TABLE org (
    org_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id  bigint      REFERENCES org,
    kind       text        NOT NULL CHECK (kind IN ('province_department', 'province_agency', 'county_department', 'county_agency',
                                                   'squadron', 'judicial_office', 'social_organisation')),
    name       text        NOT NULL CHECK (name <> ''),
    short_name text        NOT NULL CHECK (short_name <> ''),     -- 岳口, as it stands in 李某某·岳口·0417
    code       text        UNIQUE,                                -- administrative code where there is one
    lon        double precision, lat double precision,            -- WGS-84, where the office is; for the map only
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (parent_id IS NULL OR parent_id <> org_id)
);
CREATE INDEX org_parent ON org (parent_id);

-- The organisation and everything under it. Every query about cases is scoped by it.
CREATE FUNCTION org_subtree(root bigint) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 30 AS $$
    WITH RECURSIVE t AS (SELECT org_id FROM org WHERE org_id = root
                   UNION ALL SELECT o.org_id FROM org o JOIN t ON o.parent_id = t.org_id)
    SELECT org_id FROM t
$$;

CREATE TABLE officer (
    officer_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     bigint      NOT NULL REFERENCES org,
    name       text        NOT NULL CHECK (name <> ''),
    kind       text        NOT NULL CHECK (kind IN ('enforcement', 'seconded_police', 'social_worker', 'auxiliary')), -- 执法人员 选派民警 社会工作者 辅助人员
    duty       text        NOT NULL DEFAULT '' CHECK (duty IN ('', 'county_head')),  -- 县级司法行政部门负责人 (社区矫正法 29)
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What logs in.
CREATE TABLE account (
    account_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text        NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{1,62}$'),
    officer_id    bigint      REFERENCES officer,
    org_id        bigint      NOT NULL REFERENCES org,            -- root of what it may see
    password_hash text        NOT NULL,                           -- PHC string, argon2id
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE account_role (
    account_id bigint NOT NULL REFERENCES account,
    role       text   NOT NULL CHECK (role IN ('commander', 'officer', 'system_admin', 'security_admin', 'audit_admin')),
    PRIMARY KEY (account_id, role)
);
-- R108: the three administrators exclude one another, and none of them sees a case.
CREATE FUNCTION account_role_exclusion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM account WHERE account_id = NEW.account_id FOR UPDATE;
    IF NEW.role IN ('system_admin', 'security_admin', 'audit_admin') AND
       EXISTS (SELECT FROM account_role WHERE account_id = NEW.account_id AND role <> NEW.role)
    OR EXISTS (SELECT FROM account_role WHERE account_id = NEW.account_id AND role <> NEW.role
                AND role IN ('system_admin', 'security_admin', 'audit_admin')) THEN
        RAISE EXCEPTION 'role % cannot be held together with the other roles of this account', NEW.role;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_role_exclusion BEFORE INSERT OR UPDATE ON account_role FOR EACH ROW EXECUTE FUNCTION account_role_exclusion();

CREATE TABLE account_session (
    token_hash bytea       PRIMARY KEY,                           -- SHA-256 of the opaque token; the token is nowhere
    account_id bigint      NOT NULL REFERENCES account,
    csrf       text        NOT NULL,
    client     text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX account_session_account ON account_session (account_id);

-- A person under supervision, without the person: what identifies them is in subject_person, encrypted.
CREATE TABLE subject (
    subject_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    local_no    text        NOT NULL UNIQUE CHECK (local_no ~ '^[0-9A-Za-z-]{4,32}$'),   -- our own number; its last four are shown
    province_no text        UNIQUE,                                                      -- as given by the province (R101)
    category    text        NOT NULL CHECK (category IN ('01', '02', '03', '04', '99')), -- 管制 缓刑 假释 暂予监外执行 其他
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE subject_person (
    subject_id bigint PRIMARY KEY REFERENCES subject,
    surname    text   NOT NULL,                                   -- 李, for 李某某: the masked form needs no key
    name       bytea  NOT NULL,                                   -- each: internal/crypto envelope
    id_number  bytea,
    phone      bytea,
    address    bytea,
    contacts   bytea                                              -- JSON: who to call, in this person's order
);

-- Which office supervises whom. Moving is a new interval.
CREATE TABLE subject_office (
    subject_office_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id bigint    NOT NULL REFERENCES subject,
    org_id     bigint    NOT NULL REFERENCES org,
    valid      tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded   tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint   REFERENCES account,
    EXCLUDE USING gist (subject_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE INDEX subject_office_org ON subject_office (org_id) WHERE upper_inf(recorded);
CREATE TRIGGER subject_office_history BEFORE UPDATE ON subject_office FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- 使用电子定位装置批准, 社区矫正法 29: five grounds, the county-level head, at most three calendar months.
CREATE TABLE authority (
    authority_id  bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id    bigint    NOT NULL REFERENCES subject,
    ground        smallint  NOT NULL CHECK (ground BETWEEN 1 AND 5),
    ground_record text,                                           -- the 警告 or 治安处罚 that grounds 3 and 4 require (R02)
    approver_id   bigint    NOT NULL REFERENCES officer,
    document_no   text      NOT NULL CHECK (document_no <> ''),
    valid         tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)
                                            AND lower_inc(valid) AND NOT upper_inc(valid)),
    recorded      tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by   bigint    REFERENCES account,
    CONSTRAINT authority_ground_record CHECK (ground NOT IN (3, 4) OR coalesce(ground_record, '') <> ''),
    -- Calendar months at Asia/Shanghai; PostgreSQL clamps month ends: 30 Nov + 3 months = 28 Feb (R03).
    CONSTRAINT authority_three_months CHECK (timezone('Asia/Shanghai', upper(valid)) <= timezone('Asia/Shanghai', lower(valid)) + interval '3 months'),
    EXCLUDE USING gist (subject_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER authority_history BEFORE UPDATE ON authority FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
-- R01: only the head of the county-level 司法行政部门 approves.
CREATE FUNCTION authority_approver() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM officer o JOIN org USING (org_id)
                    WHERE officer_id = NEW.approver_id AND o.duty = 'county_head' AND org.kind = 'county_department') THEN
        RAISE EXCEPTION 'an authority is approved by the head of the county-level 司法行政部门 (社区矫正法 29), officer % is not', NEW.approver_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'authority_approver';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER authority_approver BEFORE INSERT ON authority FOR EACH ROW EXECUTE FUNCTION authority_approver();

-- What a rule may rest on, and the most an alert on it may be. Law as data: a correction is a new row.
CREATE TABLE legal_basis (
    legal_basis_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text      NOT NULL,
    title      text      NOT NULL,                                -- 简体中文, shown with the alert
    title_en   text      NOT NULL,
    citation   text      NOT NULL,
    max_class  text      NOT NULL CHECK (max_class IN ('alarm', 'reminder', 'lead')),
    valid      tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    recorded   tstzrange NOT NULL DEFAULT tstzrange('2020-07-01 00:00+08', NULL),
    EXCLUDE USING gist (code WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER legal_basis_history BEFORE UPDATE ON legal_basis FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();
INSERT INTO legal_basis (code, title, title_en, citation, max_class) VALUES
    ('leave_city',  '《社区矫正法》第二十七条：未经批准不得离开所居住的市、县', 'Community Correction Law art. 27: no leaving the city or county without approval', '社区矫正法 27；实施办法 26', 'alarm'),
    ('prohibition', '人民法院禁止令：禁止进入特定区域、场所', 'Court prohibition order: not to enter certain areas or places', '刑法 38、72；法发〔2011〕9号', 'alarm'),
    ('positioning', '《社区矫正法》第二十九条：使用电子定位装置', 'Community Correction Law art. 29: electronic positioning device', '社区矫正法 29；实施办法 37', 'alarm'),
    ('check',       '《社区矫正法》第二十六条：信息化核查', 'Community Correction Law art. 26: information check', '社区矫正法 26', 'reminder'),
    ('none',        '无单独法律依据', 'no legal basis of its own', '社区矫正法 34', 'lead');

---- create above / drop below ----
DROP TABLE legal_basis, authority, subject_office, subject_person, subject, account_session, account_role, account, officer, org;
DROP FUNCTION authority_approver, account_role_exclusion, org_subtree;
