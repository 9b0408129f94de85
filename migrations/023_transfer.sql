-- What the ledger of another instance says of a person who came from there (R105). Positions in it are that ledger's.
CREATE TABLE ledger_elsewhere (
    subject_id bigint NOT NULL REFERENCES subject,
    pos        bigint NOT NULL,
    entry      jsonb  NOT NULL,
    PRIMARY KEY (subject_id, pos)
);
CREATE TRIGGER ledger_elsewhere_append_only BEFORE UPDATE OR DELETE ON ledger_elsewhere FOR EACH ROW EXECUTE FUNCTION refuse_change();

---- create above / drop below ----
DROP TABLE ledger_elsewhere;
