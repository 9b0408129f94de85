-- History: packed hours, what evidence keeps.
SELECT;

---- create above / drop below ----
SELECT;
