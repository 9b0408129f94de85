-- What brokers need to know of devices, and what of theirs never arrived.

-- The secret once more as a Mosquitto's password file keeps it ($7$: PBKDF2 with HMAC-SHA-512): from the keyed digest it cannot be
-- made. Secrets are 192 random bits, so a digest without our key gives none away. NULL: issued before this column, or ended.
ALTER TABLE device_credential ADD COLUMN mosquitto text CHECK (mosquitto ~ '^\$7\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$');

-- Certificates that began to be valid before this instant are refused: they ended with the secrets of their time. NULL: none is.
ALTER TABLE device ADD COLUMN certificates_from timestamptz;

-- Sequences of the boots that are remembered which were not heard although later ones were (devices.Window.Missing).
ALTER TABLE device_health ADD COLUMN missing bigint NOT NULL DEFAULT 0 CHECK (missing >= 0),
    ADD COLUMN missing_since timestamptz,                              -- since when there are more than was told
    ADD COLUMN missing_told bigint NOT NULL DEFAULT 0,                 -- of missing, those that were told as lost
    ADD COLUMN lost bigint NOT NULL DEFAULT 0,                         -- ever told as lost
    ADD COLUMN conflicts bigint NOT NULL DEFAULT 0,                    -- sequences that came again with another content (R41)
    ADD COLUMN conflict_told timestamptz;                              -- when the ledger last told of one
CREATE INDEX device_health_missing ON device_health (missing_since) WHERE missing_since IS NOT NULL;

-- How many messages a trace stands for: of a flood there is one a minute.
ALTER TABLE quarantine ADD COLUMN n integer NOT NULL DEFAULT 1 CHECK (n > 0);

---- create above / drop below ----
ALTER TABLE quarantine DROP COLUMN n;
DROP INDEX device_health_missing;
ALTER TABLE device_health DROP COLUMN missing, DROP COLUMN missing_since, DROP COLUMN missing_told, DROP COLUMN lost,
    DROP COLUMN conflicts, DROP COLUMN conflict_told;
ALTER TABLE device DROP COLUMN certificates_from;
ALTER TABLE device_credential DROP COLUMN mosquitto;
