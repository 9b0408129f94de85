-- Gateways of wires that are not MQTT. In which datum a model of device gives its places, where its wire cannot say it: which one
-- a place came in stands beside each place, so that this needs no history of its own.
CREATE TABLE model_datum (
    model       text        PRIMARY KEY CHECK (model <> ''),
    datum       smallint    NOT NULL CHECK (datum BETWEEN 1 AND 4),            -- devices.Datum
    recorded_at timestamptz NOT NULL,
    recorded_by bigint      REFERENCES account
);

-- A terminal of JT/T 808 fetches its secret when it registers. Until when somebody lets it, and which make came first.
CREATE TABLE terminal_registration (
    device_id  bigint      PRIMARY KEY REFERENCES device,
    opened_at  timestamptz NOT NULL,
    open_until timestamptz NOT NULL CHECK (open_until > opened_at),
    identity   text        -- maker/model/terminal id; NULL: none has come yet
);

---- create above / drop below ----
DROP TABLE terminal_registration;
DROP TABLE model_datum;
