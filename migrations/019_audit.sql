-- 审计封存: what the ledger held, minute by minute, as a Merkle tree and a chain, signed with a key that is not in the database. Machine time.
CREATE TABLE audit_seal (
    n         bigint      PRIMARY KEY CHECK (n > 0),
    algorithm text        NOT NULL,                              -- of hashes and signature: sha256+ed25519
    at        timestamptz NOT NULL,
    positions bigint[]    NOT NULL,                              -- of the ledger's rows, in order; none: nothing happened in an hour
    leaves    bytea       NOT NULL,                              -- their hashes, one after the other
    root      bytea       NOT NULL,                              -- of the tree over leaves (RFC 6962)
    prev      bytea       NOT NULL,                              -- hash of the seal before
    hash      bytea       NOT NULL,                              -- of everything above
    signature bytea       NOT NULL                               -- of hash
);
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seal_not_emptied BEFORE TRUNCATE ON audit_seal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_not_emptied BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

---- create above / drop below ----
DROP TRIGGER ledger_not_emptied ON ledger;
DROP TABLE audit_seal;
