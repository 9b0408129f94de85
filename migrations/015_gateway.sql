-- Gateways of wires that are not MQTT.
SELECT;

---- create above / drop below ----
SELECT;
