-- Partitions of the broker: who reads which, by lease and epoch.
SELECT;

---- create above / drop below ----
SELECT;
