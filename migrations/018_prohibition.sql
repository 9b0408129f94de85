-- 禁止令: what a court forbids somebody for a time (刑法 38、72; 法发〔2011〕9号). Recorded from the judgment; never decided here.
CREATE SEQUENCE prohibition_id AS bigint;
CREATE TABLE prohibition (
    prohibition_id bigint    NOT NULL,
    version        integer   NOT NULL CHECK (version > 0),
    subject_id     bigint    NOT NULL REFERENCES subject,
    type           text      NOT NULL CHECK (type IN ('activity', 'area', 'person')),  -- 从事特定活动 进入特定区域、场所 接触特定的人
    document_no    text      NOT NULL CHECK (document_no <> ''),
    court          text      NOT NULL CHECK (court <> ''),
    sealed         bytea     NOT NULL,                            -- its wording: internal/crypto envelope
    zones          bigint[]  NOT NULL DEFAULT '{}',
    relations      bigint[]  NOT NULL DEFAULT '{}',
    valid          tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)),
    recorded       tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by    bigint    REFERENCES account,
    PRIMARY KEY (prohibition_id, version),
    CHECK (type <> 'area' OR cardinality(zones) > 0),
    CHECK (type <> 'person' OR cardinality(relations) > 0),
    EXCLUDE USING gist (prohibition_id WITH =, recorded WITH &&)
);
CREATE INDEX prohibition_subject ON prohibition (subject_id) WHERE upper_inf(recorded);
CREATE TRIGGER prohibition_history BEFORE UPDATE ON prohibition FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

---- create above / drop below ----
DROP TABLE prohibition;
DROP SEQUENCE prohibition_id;
