-- Rules about several people: two who may not meet (R33), so many in one place.

-- 被保护人: somebody whom a relation protects. Nobody supervises them: a row here has no office, and so no list shows it.
ALTER TABLE subject DROP CONSTRAINT subject_category_check;
ALTER TABLE subject ADD CONSTRAINT subject_category_check CHECK (category IN ('01', '02', '03', '04', '99', 'protected'));

-- Who is to stay away from whom: the county approved it, and a victim agreed to be located (实施办法 25). Either ends it.
CREATE TABLE relation (
    relation_id bigint    NOT NULL,
    version     integer   NOT NULL CHECK (version > 0),
    subject_id  bigint    NOT NULL REFERENCES subject,            -- who stays away
    other_id    bigint    NOT NULL REFERENCES subject,            -- from whom
    kind        text      NOT NULL CHECK (kind IN ('victim', 'accomplice', 'other')),
    document_no text      NOT NULL CHECK (document_no <> ''),     -- of the county's approval
    consent_no  text      NOT NULL DEFAULT '',                    -- of the other's consent
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    PRIMARY KEY (relation_id, version),
    CHECK (subject_id <> other_id),
    CHECK (kind <> 'victim' OR consent_no <> ''),
    EXCLUDE USING gist (relation_id WITH =, valid WITH &&, recorded WITH &&)
);
CREATE SEQUENCE relation_id;
CREATE INDEX relation_subject ON relation (subject_id);
CREATE INDEX relation_other ON relation (other_id);
CREATE TRIGGER relation_history BEFORE UPDATE ON relation FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

-- A rule is about one person, or about everybody an organisation supervises.
ALTER TABLE rule ALTER subject_id DROP NOT NULL, ADD org_id bigint REFERENCES org, ADD relation_id bigint,
    ADD CHECK ((subject_id IS NULL) <> (org_id IS NULL));

-- The state of a rule about several people when everything up to an instant had been judged.
CREATE TABLE company_state (
    rule_id    bigint      PRIMARY KEY,
    at         timestamptz NOT NULL,
    state      jsonb       NOT NULL DEFAULT '{}',
    dirty_from timestamptz,                                       -- from here on it is to be judged again
    dirty_why  jsonb
) WITH (fillfactor = 50);
-- One row: up to here the rules were judged, or will be at once. A fix that is stored later and timed before comes late.
CREATE TABLE company_front (
    one boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL
);
INSERT INTO company_front (at) VALUES ('epoch');
-- Who had such a fix, and from when; machine times as in subject_state.
CREATE TABLE company_late (
    subject_id bigint      PRIMARY KEY,
    from_at    timestamptz NOT NULL,
    late_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    late_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Rules about several people are to be judged again from an instant: a fact they rest on changed.
CREATE FUNCTION company_changed(rules bigint[], since timestamptz, why jsonb) RETURNS void LANGUAGE sql AS $$
    UPDATE company_state SET dirty_from = least(dirty_from, since), dirty_why = coalesce(why, dirty_why) WHERE rule_id = ANY (rules) AND at > since;
$$;

INSERT INTO handling (kind, channel, class, acknowledge_s, heals) VALUES
    ('near',     'wristband', 'alarm', 300,  false),
    ('near',     'phone',     'alarm', 300,  false),
    ('gathered', 'wristband', 'lead',  3600, false),
    ('gathered', 'phone',     'lead',  3600, false);

---- create above / drop below ----
DELETE FROM handling WHERE kind IN ('near', 'gathered');
DROP FUNCTION company_changed(bigint[], timestamptz, jsonb);
DROP TABLE company_late, company_front, company_state;
ALTER TABLE rule DROP relation_id, DROP org_id, ALTER subject_id SET NOT NULL;
DROP TABLE relation;
DROP SEQUENCE relation_id;
ALTER TABLE subject DROP CONSTRAINT subject_category_check;
ALTER TABLE subject ADD CONSTRAINT subject_category_check CHECK (category IN ('01', '02', '03', '04', '99'));
