-- Who may do what, how they prove who they are, and what two of them have to agree on. All of it machine time, like sessions.

ALTER TABLE account_role DROP CONSTRAINT account_role_role_check;
ALTER TABLE account_role ADD CONSTRAINT account_role_role_check CHECK (role IN ('commander', 'officer', 'field', 'auxiliary', 'approver',
    'provincial_reader', 'prosecutor', 'system_admin', 'security_admin', 'audit_admin'));
-- R135: staff who only check, call, visit and note hold no role that decides. A prosecutor supervises all of it, and works on none of it.
CREATE FUNCTION account_role_kind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role IN ('commander', 'officer', 'field', 'approver') AND EXISTS (SELECT FROM account JOIN officer USING (officer_id)
            WHERE account_id = NEW.account_id AND officer.kind = 'auxiliary') THEN
        RAISE EXCEPTION 'auxiliary staff hold no role that decides (R135), not %', NEW.role;
    END IF;
    -- R96: who works in the field sees their own office's people.
    IF NEW.role = 'field' AND EXISTS (SELECT FROM account JOIN org USING (org_id) WHERE account_id = NEW.account_id
            AND kind NOT IN ('judicial_office', 'squadron', 'social_organisation')) THEN
        RAISE EXCEPTION 'field staff belong to an office, not to what is above it';
    END IF;
    IF EXISTS (SELECT FROM account_role WHERE account_id = NEW.account_id AND role <> NEW.role AND 'prosecutor' IN (role, NEW.role)) THEN
        RAISE EXCEPTION 'role prosecutor cannot be held together with the other roles of this account';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_role_kind BEFORE INSERT OR UPDATE ON account_role FOR EACH ROW EXECUTE FUNCTION account_role_kind();

-- 登录凭据. totp is an internal/crypto envelope; a code is good once, so the last step that was used is kept.
ALTER TABLE account
    ADD COLUMN password_set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN must_change     boolean     NOT NULL DEFAULT false,    -- somebody else knows this password
    ADD COLUMN totp            bytea,
    ADD COLUMN totp_step       bigint      NOT NULL DEFAULT 0,
    ADD COLUMN single_sign_on  text        UNIQUE;                    -- issuer and subject at the site's identity provider
CREATE TABLE account_certificate (                                    -- UKey: the key of a client certificate
    account_id bigint      NOT NULL REFERENCES account,
    key_sha256 bytea       NOT NULL UNIQUE CHECK (length(key_sha256) = 32),
    label      text        NOT NULL DEFAULT '',
    added_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    PRIMARY KEY (account_id, key_sha256)
);
CREATE TABLE password_history (
    account_id    bigint      NOT NULL REFERENCES account,
    password_hash text        NOT NULL,
    until         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX password_history_account ON password_history (account_id, until);

ALTER TABLE account_session
    ADD COLUMN factor     text        NOT NULL DEFAULT 'password' CHECK (factor IN ('password', 'totp', 'certificate', 'single_sign_on')),
    ADD COLUMN stepped_at timestamptz NOT NULL DEFAULT clock_timestamp();   -- when whoever sits there last proved who they are

-- 安全策略. The newest row applies; none: dengbao3, and a second factor in live deployments.
CREATE TABLE security_policy (
    version       integer     PRIMARY KEY CHECK (version > 0),
    profile       text        NOT NULL CHECK (profile IN ('dengbao3', 'asvs')),
    second_factor boolean     NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by   bigint      REFERENCES account,
    countersign_id bigint
);
CREATE TRIGGER security_policy_append_only BEFORE UPDATE OR DELETE ON security_policy FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- 双人复核: one asks, another agrees, and only then it happens.
CREATE TABLE countersign (
    countersign_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text        NOT NULL CHECK (kind IN ('role_grant', 'policy', 'mass_export')),
    body           jsonb       NOT NULL,
    reason         text        NOT NULL CHECK (reason <> ''),
    org_id         bigint      NOT NULL REFERENCES org,
    asked_by       bigint      NOT NULL REFERENCES account,
    asked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by     bigint      REFERENCES account,
    decided_at     timestamptz,
    agreed         boolean,
    CHECK (decided_by <> asked_by),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL) AND (decided_by IS NULL) = (agreed IS NULL))
);
CREATE INDEX countersign_open ON countersign (kind) WHERE decided_by IS NULL;
ALTER TABLE security_policy ADD FOREIGN KEY (countersign_id) REFERENCES countersign;

-- 代班: somebody looks after another office's people for a time (R96).
CREATE TABLE cover_duty (
    cover_id   bigint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint    NOT NULL REFERENCES account,
    org_id     bigint    NOT NULL REFERENCES org,
    valid      tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)),
    reason     text      NOT NULL CHECK (reason <> ''),
    granted_by bigint    NOT NULL REFERENCES account,
    ended_at   timestamptz,
    CHECK (granted_by <> account_id)
);
CREATE INDEX cover_duty_account ON cover_duty (account_id) WHERE ended_at IS NULL;

-- A scope is an organisation, or minus the number of an account that covers for others just now: its own part and theirs.
CREATE OR REPLACE FUNCTION org_subtree(root bigint) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 30 AS $$
    WITH RECURSIVE t AS (
        SELECT org_id FROM org WHERE root > 0 AND org_id = root
        UNION SELECT a.org_id FROM account a WHERE root < 0 AND a.account_id = -root
        UNION SELECT c.org_id FROM cover_duty c WHERE root < 0 AND c.account_id = -root AND c.ended_at IS NULL AND c.valid @> clock_timestamp()
        UNION SELECT o.org_id FROM org o JOIN t ON o.parent_id = t.org_id)
    SELECT org_id FROM t
$$;

-- What was looked at, and what for (R102, R107). note says it in words where the alert or task does not.
ALTER TABLE subject_access DROP CONSTRAINT subject_access_what_check;
ALTER TABLE subject_access ADD CONSTRAINT subject_access_what_check CHECK (what IN ('track', 'person', 'evidence', 'export'));
ALTER TABLE subject_access DROP CONSTRAINT subject_access_purpose_check;
ALTER TABLE subject_access ADD CONSTRAINT subject_access_purpose_check CHECK (purpose IN ('alert', 'task', 'check', 'investigation', 'approval', 'handover', 'request'));
ALTER TABLE subject_access ADD COLUMN note text NOT NULL DEFAULT '';

---- create above / drop below ----
ALTER TABLE subject_access DROP COLUMN note;
ALTER TABLE subject_access DROP CONSTRAINT subject_access_purpose_check;
ALTER TABLE subject_access ADD CONSTRAINT subject_access_purpose_check CHECK (purpose IN ('alert', 'check', 'investigation', 'approval', 'handover')) NOT VALID;
ALTER TABLE subject_access DROP CONSTRAINT subject_access_what_check;
ALTER TABLE subject_access ADD CONSTRAINT subject_access_what_check CHECK (what IN ('track')) NOT VALID;
CREATE OR REPLACE FUNCTION org_subtree(root bigint) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 30 AS $$
    WITH RECURSIVE t AS (SELECT org_id FROM org WHERE org_id = root
                   UNION ALL SELECT o.org_id FROM org o JOIN t ON o.parent_id = t.org_id)
    SELECT org_id FROM t
$$;
DROP TABLE cover_duty, security_policy, countersign;
ALTER TABLE account_session DROP COLUMN stepped_at, DROP COLUMN factor;
DROP TABLE password_history, account_certificate;
ALTER TABLE account DROP COLUMN single_sign_on, DROP COLUMN totp_step, DROP COLUMN totp, DROP COLUMN must_change, DROP COLUMN password_set_at;
DROP TRIGGER account_role_kind ON account_role;
DROP FUNCTION account_role_kind;
ALTER TABLE account_role DROP CONSTRAINT account_role_role_check;
ALTER TABLE account_role ADD CONSTRAINT account_role_role_check CHECK (role IN ('commander', 'officer', 'system_admin', 'security_admin', 'audit_admin')) NOT VALID;
