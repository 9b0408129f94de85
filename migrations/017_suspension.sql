-- 暂停判定: when rules do not apply to somebody, and why. What is suspended is not judged, and is shown as suspended.
CREATE SEQUENCE suspension_id AS bigint;
CREATE TABLE suspension (
    suspension_id bigint    NOT NULL,
    version     integer     NOT NULL CHECK (version > 0),
    subject_id  bigint      NOT NULL REFERENCES subject,
    cause       text        NOT NULL CHECK (cause IN ('leave', 'regular_leave', 'entry',         -- a decision allows it (实施办法 27, 29, 39)
                                                      'detention', 'hospital', 'maintenance',    -- 羁押 住院 设备维护
                                                      'removal')),                               -- 预约拆除
    kinds       text[]      CHECK (cardinality(kinds) > 0),       -- of rules; NULL: all
    zone_id     bigint      REFERENCES zone,                      -- only rules about it; NULL: about any
    document_no text        NOT NULL CHECK (document_no <> ''),
    valid       tstzrange   NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
    recorded    tstzrange   NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint      REFERENCES account,
    PRIMARY KEY (suspension_id, version),
    EXCLUDE USING gist (suspension_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE INDEX suspension_subject ON suspension (subject_id) WHERE upper_inf(recorded);
CREATE TRIGGER suspension_history BEFORE UPDATE ON suspension FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- What a decision brought about here, so that its next step changes the same things.
CREATE TABLE decision_effect (
    source        text     PRIMARY KEY,                           -- proceeding/12, prohibition/3
    suspensions   bigint[] NOT NULL DEFAULT '{}',
    zone_id       bigint   REFERENCES zone,
    rules         bigint[] NOT NULL DEFAULT '{}',
    overdue_id    bigint,                                         -- the rule that watches for the return
    until         timestamptz NOT NULL                            -- as it was last decided
);

INSERT INTO legal_basis (code, title, title_en, citation, max_class) VALUES
    ('leave', '《社区矫正法实施办法》第二十八条：批准外出期间的监督管理', 'Implementing Measures art. 28: supervision during approved leave', '社区矫正法 27；实施办法 26–28', 'reminder');
INSERT INTO handling (kind, channel, class, acknowledge_s, heals) VALUES
    ('stayed_elsewhere', 'wristband', 'reminder', 1800, true),
    ('stayed_elsewhere', 'phone',     'reminder', 1800, true),
    ('not_returned',     'wristband', 'reminder', 1800, true),
    ('not_returned',     'phone',     'reminder', 1800, true);

---- create above / drop below ----
ALTER TABLE handling DISABLE TRIGGER USER;
DELETE FROM handling WHERE kind IN ('stayed_elsewhere', 'not_returned');
ALTER TABLE handling ENABLE TRIGGER USER;
DELETE FROM legal_basis WHERE code = 'leave';
DROP TABLE decision_effect, suspension;
DROP SEQUENCE suspension_id;
