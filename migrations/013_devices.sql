-- Enrolment, commands and health of devices.

-- 设备指令: what became of each, with the time of each step.
ALTER TABLE command RENAME COLUMN done_at TO ended_at;               -- when it came to its end, whichever
ALTER TABLE command DROP CONSTRAINT command_kind_check,
    ADD CONSTRAINT command_kind_check CHECK (kind IN ('check', 'locate', 'text', 'vibrate', 'interval')),
    ADD COLUMN state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'sent', 'delivered', 'done', 'failed', 'expired', 'withdrawn')),
    ADD COLUMN reason text NOT NULL DEFAULT '',                       -- why it failed, or why it is sent again although it arrived
    ADD COLUMN first_sent_at timestamptz,                             -- sent_at is the latest attempt
    ADD COLUMN delivered_at timestamptz,                              -- when we heard from the device that it has it
    ADD COLUMN device_at timestamptz,                                 -- the time of its latest answer by its own clock
    ADD COLUMN silent boolean NOT NULL DEFAULT false,                 -- at the latest attempt nothing had been heard of the device lately
    ADD COLUMN asked_by bigint REFERENCES officer,                    -- NULL: the platform, or somebody at the command line
    ADD COLUMN asked_as text NOT NULL DEFAULT '';                     -- account of the operating system of who asked at the command line
UPDATE command SET first_sent_at = sent_at, next_at = CASE WHEN next_at > expires_at THEN expires_at ELSE next_at END,
    state = CASE WHEN ended_at IS NOT NULL THEN 'done' WHEN next_at IS NULL THEN 'expired' WHEN sent_at IS NOT NULL THEN 'sent' ELSE 'queued' END;
UPDATE command SET ended_at = expires_at WHERE state = 'expired';
ALTER TABLE command ADD CONSTRAINT command_end CHECK ((ended_at IS NULL) = (state IN ('queued', 'sent', 'delivered')) AND (ended_at IS NULL) = (next_at IS NOT NULL));
CREATE INDEX command_silent ON command (device_id) WHERE silent;
CREATE INDEX command_device ON command (device_id, command_id);

-- How far the data of each source has come: a wire and a class of device. Domain time.
CREATE TABLE source_watermark (
    source_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text        NOT NULL UNIQUE,
    devices     integer     NOT NULL,                                 -- bound now
    observed_at timestamptz,                                          -- the newest that was observed; never goes back, never ahead of its receipt
    heard_at    timestamptz,                                          -- when something was received last
    limit_s     integer     NOT NULL CHECK (limit_s > 0),             -- older data than this is not in step
    stale_since timestamptz,                                          -- when that was told; NULL: it is in step
    version     integer     NOT NULL DEFAULT 0                        -- of what was told
);

-- 登记: a code with which a device fetches its secret, once. Its keyed digest: what was shown is nowhere.
CREATE TABLE enrolment_code (
    device_id  bigint      PRIMARY KEY REFERENCES device,
    mac        bytea       NOT NULL,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > made_at),
    tries      integer     NOT NULL CHECK (tries >= 0),               -- wrong codes that may still come
    used_at    timestamptz
);

-- A secret that another replaces is good until then, or until the other is used.
ALTER TABLE device_credential ADD COLUMN expires_at timestamptz;      -- NULL: nothing replaces it
CREATE INDEX device_credential_expires ON device_credential (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

-- 遗失: from when the device was in other hands and until when; the latest loss. The ledger has every one.
ALTER TABLE device ADD COLUMN lost_from timestamptz, ADD COLUMN lost_until timestamptz, ADD COLUMN lost_reason text NOT NULL DEFAULT '',
    ADD CONSTRAINT device_lost CHECK ((lost_from IS NOT NULL OR lost_until IS NULL) AND (lost_until IS NULL OR lost_until >= lost_from)
        AND (lost_from IS NULL) = (lost_reason = ''));
-- A text may name the person: whoever has found or taken the device would read it.
CREATE FUNCTION command_not_to_lost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM device WHERE device_id = NEW.device_id AND lost_from IS NOT NULL AND lost_until IS NULL FOR SHARE;
    IF FOUND THEN
        RAISE EXCEPTION 'a lost device is shown no text' USING ERRCODE = 'check_violation', CONSTRAINT = 'command_not_to_lost';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER command_not_to_lost BEFORE INSERT ON command FOR EACH ROW WHEN (NEW.kind = 'text') EXECUTE FUNCTION command_not_to_lost();

---- create above / drop below ----
DROP TRIGGER command_not_to_lost ON command;
DROP FUNCTION command_not_to_lost;
ALTER TABLE device DROP CONSTRAINT device_lost, DROP COLUMN lost_reason, DROP COLUMN lost_until, DROP COLUMN lost_from;
DROP INDEX device_credential_expires;
ALTER TABLE device_credential DROP COLUMN expires_at;
DROP TABLE enrolment_code;
DROP TABLE source_watermark;
DROP INDEX command_device, command_silent;
DELETE FROM command c WHERE kind = 'interval' AND NOT EXISTS (SELECT FROM check_demand d WHERE d.command_id = c.command_id);
ALTER TABLE command DROP CONSTRAINT command_end, DROP CONSTRAINT command_kind_check,
    DROP COLUMN asked_as, DROP COLUMN asked_by, DROP COLUMN silent, DROP COLUMN device_at, DROP COLUMN delivered_at, DROP COLUMN first_sent_at,
    DROP COLUMN reason, DROP COLUMN state,
    ADD CONSTRAINT command_kind_check CHECK (kind IN ('check', 'locate', 'text', 'vibrate'));
ALTER TABLE command RENAME COLUMN ended_at TO done_at;
