-- What a model of device errs by at least, whatever it claims: accuracy is never trusted below a floor per method and model.
CREATE TABLE model_floor (
    model       text      NOT NULL CHECK (model <> ''),
    method      smallint  NOT NULL CHECK (method BETWEEN 1 AND 4),    -- devices.Method
    version     integer   NOT NULL CHECK (version > 0),
    floor_m     real      NOT NULL CHECK (floor_m > 0 AND floor_m <= 100000),
    valid       tstzrange NOT NULL CHECK (NOT isempty(valid)),
    recorded    tstzrange NOT NULL CHECK (NOT isempty(recorded)),
    recorded_by bigint    REFERENCES account,
    PRIMARY KEY (model, method, version),
    EXCLUDE USING gist (model WITH =, method WITH =, valid WITH &&, recorded WITH &&)
);
CREATE TRIGGER model_floor_history BEFORE UPDATE ON model_floor FOR EACH ROW EXECUTE FUNCTION refuse_rewrite();

---- create above / drop below ----
DROP TABLE model_floor;
