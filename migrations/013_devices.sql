-- Enrolment, commands and health of devices.
SELECT;

---- create above / drop below ----
SELECT;
