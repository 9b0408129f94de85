-- Gateways of wires that are not MQTT. In which datum a model of device gives its places, where its wire cannot say it: which one
-- a place came in stands beside each place, so that this needs no history of its own.
CREATE TABLE model_datum (
    model       text        PRIMARY KEY CHECK (model <> ''),
    datum       smallint    NOT NULL CHECK (datum BETWEEN 1 AND 4),            -- devices.Datum
    recorded_at timestamptz NOT NULL,
    recorded_by bigint      REFERENCES account
);

---- create above / drop below ----
DROP TABLE model_datum;
