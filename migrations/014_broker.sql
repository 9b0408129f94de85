-- What the registry tells brokers that are not ours.
SELECT;

---- create above / drop below ----
SELECT;
