-- 分级处置表, whole: who is told by day and by night, when it goes on to the next, whether the subject is told first, and what closing needs.

-- A route is who has it, one after the other; two at once are joined by +. office 司法所, centre 指挥中心, watch 指挥中心值班, leader 带班领导,
-- police 通报公安, morning: the list of the next morning, weekly: the weekly review.
CREATE FUNCTION is_route(route text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT cardinality(route) BETWEEN 1 AND 5 AND NOT EXISTS (SELECT FROM unnest(route) r, string_to_table(r, '+') w
        WHERE w NOT IN ('office', 'centre', 'watch', 'leader', 'police', 'morning', 'weekly'))
$$;
ALTER TABLE handling
    ADD COLUMN tell     text    NOT NULL DEFAULT 'no' CHECK (tell IN ('no', 'ask', 'vibrate', 'warn', 'message')),  -- 先告知本人 (R127)
    ADD COLUMN day      text[]  NOT NULL DEFAULT '{office}' CHECK (is_route(day)),
    ADD COLUMN night    text[]  NOT NULL DEFAULT '{morning}' CHECK (is_route(night)),                             -- and on days off (R56)
    ADD COLUMN escalate_s integer CHECK (escalate_s >= acknowledge_s),                                             -- to the next, seconds of domain time; NULL: it stays
    ADD COLUMN closing  text    NOT NULL DEFAULT 'conclusion' CHECK (closing IN ('conclusion', 'reset', 'cause', 'return', 'ladder', 'itself')),
    ADD COLUMN recorded_by bigint REFERENCES account,
    ADD CHECK (cardinality(day) = 1 AND cardinality(night) = 1 OR escalate_s IS NOT NULL);
ALTER TABLE handling DISABLE TRIGGER handling_history;
UPDATE handling h SET tell = v.tell, day = v.day::text[], night = v.night::text[], escalate_s = v.escalate_s, closing = v.closing, acknowledge_s = coalesce(v.acknowledge_s, h.acknowledge_s)
FROM (VALUES
    ('strap_opened',     'wristband', 'no',      '{office+centre,leader}', '{watch,leader,police}', 300,  'reset',      NULL::int),
    ('strap_opened',     'phone',     'no',      '{office+centre,leader}', '{watch,leader,police}', 300,  'reset',      NULL),
    ('entered_zone',     'wristband', 'vibrate', '{office+centre,leader}', '{watch,leader,police}', 300,  'conclusion', NULL),
    ('entered_zone',     'phone',     'vibrate', '{office+centre,leader}', '{watch,leader,police}', 300,  'conclusion', NULL),
    ('passed_through',   'wristband', 'no',      '{office}',               '{morning}',             NULL, 'conclusion', NULL),
    ('passed_through',   'phone',     'no',      '{office}',               '{morning}',             NULL, 'conclusion', NULL),
    ('left_zone',        'wristband', 'warn',    '{office,centre}',        '{watch,leader}',        600,  'conclusion', NULL),
    ('left_zone',        'phone',     'ask',     '{office,centre}',        '{watch,leader}',        1800, 'conclusion', NULL),
    ('near',             'wristband', 'vibrate', '{office+centre,leader}', '{watch,leader}',        600,  'conclusion', NULL),
    ('near',             'phone',     'vibrate', '{office+centre,leader}', '{watch,leader}',        600,  'conclusion', NULL),
    ('absent',           'wristband', 'vibrate', '{office,centre}',        '{watch,leader}',        1800, 'conclusion', NULL),
    ('absent',           'phone',     'ask',     '{office,centre}',        '{watch,leader}',        1800, 'conclusion', NULL),
    ('unverified',       'wristband', 'ask',     '{office}',               '{morning}',             NULL, 'cause',      NULL),
    ('unverified',       'phone',     'ask',     '{office}',               '{morning}',             NULL, 'cause',      NULL),
    ('device_silent',    'wristband', 'message', '{office,centre}',        '{watch,leader}',        1800, 'cause',      NULL),
    ('device_silent',    'phone',     'message', '{office}',               '{morning}',             NULL, 'cause',      NULL),
    ('power_lost',       'wristband', 'message', '{office,centre}',        '{watch,leader}',        1800, 'cause',      NULL),
    ('power_lost',       'phone',     'message', '{office}',               '{morning}',             NULL, 'cause',      NULL),
    ('location_lost',    'wristband', 'message', '{office}',               '{morning}',             NULL, 'itself',     NULL),
    ('location_lost',    'phone',     'message', '{office}',               '{morning}',             NULL, 'itself',     NULL),
    ('low_battery',      'wristband', 'ask',     '{office}',               '{watch}',               NULL, 'itself',     NULL),
    ('low_battery',      'phone',     'ask',     '{office}',               '{morning}',             NULL, 'itself',     NULL),
    ('check_missed',     'wristband', 'ask',     '{office}',               '{morning}',             NULL, 'ladder',     NULL),
    ('check_missed',     'phone',     'ask',     '{office}',               '{morning}',             NULL, 'ladder',     NULL),
    ('check_unanswered', 'wristband', 'no',      '{office}',               '{morning}',             NULL, 'ladder',     NULL),
    ('check_unanswered', 'phone',     'no',      '{office}',               '{morning}',             NULL, 'ladder',     NULL),
    ('stayed_elsewhere', 'wristband', 'message', '{office}',               '{morning}',             NULL, 'return',     3600),
    ('stayed_elsewhere', 'phone',     'message', '{office}',               '{morning}',             NULL, 'return',     3600),
    ('not_returned',     'wristband', 'message', '{office}',               '{morning}',             NULL, 'return',     3600),
    ('not_returned',     'phone',     'message', '{office}',               '{morning}',             NULL, 'return',     3600),
    ('separated',        'wristband', 'no',      '{office}',               '{morning}',             NULL, 'conclusion', NULL),
    ('separated',        'phone',     'no',      '{office}',               '{morning}',             NULL, 'conclusion', NULL),
    ('dwelt',            'wristband', 'no',      '{weekly}',               '{weekly}',              NULL, 'conclusion', NULL),
    ('dwelt',            'phone',     'no',      '{weekly}',               '{weekly}',              NULL, 'conclusion', NULL),
    ('gathered',         'wristband', 'no',      '{morning}',              '{morning}',             NULL, 'conclusion', NULL),
    ('gathered',         'phone',     'no',      '{morning}',              '{morning}',             NULL, 'conclusion', NULL)
) AS v (kind, channel, tell, day, night, escalate_s, closing, acknowledge_s) WHERE h.kind = v.kind AND h.channel = v.channel;
ALTER TABLE handling ENABLE TRIGGER handling_history;

-- Who has an alert now, and when it goes on to the next unless somebody takes charge of it (R56).
ALTER TABLE alert
    ADD COLUMN route      text[]   NOT NULL DEFAULT '{office}' CHECK (is_route(route)),
    ADD COLUMN step       smallint NOT NULL DEFAULT 0 CHECK (step >= 0),
    ADD COLUMN escalates_at timestamptz,
    ADD CHECK (step < cardinality(route));
CREATE INDEX alert_escalates ON alert (escalates_at) WHERE state = 'open' AND escalates_at IS NOT NULL;
ALTER TABLE alert_event DROP CONSTRAINT alert_event_act_check, ADD CONSTRAINT alert_event_act_check CHECK (act IN
    ('raised', 'amended', 'violation_closed', 'withdrawn', 'acknowledged', 'noted', 'closed', 'healed', 'viewed', 'held', 'released', 'escalated'));

---- create above / drop below ----
ALTER TABLE alert_event DROP CONSTRAINT alert_event_act_check, ADD CONSTRAINT alert_event_act_check CHECK (act IN
    ('raised', 'amended', 'violation_closed', 'withdrawn', 'acknowledged', 'noted', 'closed', 'healed', 'viewed', 'held', 'released')) NOT VALID;
ALTER TABLE alert DROP COLUMN escalates_at, DROP COLUMN step, DROP COLUMN route;
ALTER TABLE handling DROP COLUMN recorded_by, DROP COLUMN closing, DROP COLUMN escalate_s, DROP COLUMN night, DROP COLUMN day, DROP COLUMN tell;
DROP FUNCTION is_route;
