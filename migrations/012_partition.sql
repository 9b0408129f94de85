-- Who reads which partition of the broker. A process is alive while it was seen a moment ago and the session it said so over
-- still stands: that of a process that was killed ends with it, one that hangs is not seen. Machine time, the database's.
CREATE TABLE ingest_process (
    instance      text        PRIMARY KEY CHECK (instance <> ''),
    backend       integer     NOT NULL,                           -- pid and beginning of the session it is seen over
    backend_start timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    backlog       boolean     NOT NULL,                           -- observations may wait there that are older than now
    hears         boolean     NOT NULL                            -- what devices say in its partitions would reach it
);
-- Every commit of a batch holds this row FOR SHARE and names the epoch it was read under: who takes a partition over waits
-- for a commit under way, and whoever had it before commits nothing any more.
CREATE TABLE partition_lease (
    partition smallint    PRIMARY KEY,
    owner     text,                                               -- ingest_process.instance; NULL: given back
    epoch     bigint      NOT NULL CHECK (epoch > 0),             -- grows with every taking
    taken_at  timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What a check-in or a fix said of the device decides as well (strap, power), and so has to be there when the past is judged again.
ALTER TABLE check_in ADD battery smallint, ADD strap smallint, ADD charging boolean, ADD last_gasp text;

---- create above / drop below ----
ALTER TABLE check_in DROP battery, DROP strap, DROP charging, DROP last_gasp;
DROP TABLE partition_lease, ingest_process;
