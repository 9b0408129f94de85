// English. Terms of Chinese law keep their Chinese beside them where a translation could mislead.
import type zh from './zh-CN';

const en: typeof zh = {
  app: { name: 'Zhijiao', centre: 'Correction centre' },
  nav: { wall: 'Wall', alerts: 'Alerts', calendar: 'Calendar', data: 'Accounting', logout: 'Log out', theme: 'Light or dark', language: '中文', keys: 'Keys' },
  login: {
    title: 'Log in', name: 'Account', password: 'Password', submit: 'Log in', submitting: 'Logging in…',
    lead: 'Supervision in community correction', showPassword: 'Show password', hidePassword: 'Hide password',
    purpose: 'For authorised staff only. Every act is recorded.', expiredTitle: 'Your session has ended', expiredText: 'Please log in again. What you typed on the page is still there.', toWall: 'Back to the wall',
    caps: 'Caps Lock is on',
  },
  error: {
    bad_login: 'Account or password is not right.', too_many: 'Too many attempts. Try again in {n} seconds.', too_many_plain: 'Too many attempts. Try again later.', account_disabled: 'This account is disabled. Ask the system administrator.',
    unreachable: 'The server cannot be reached. Check the network and try again.', unauthorized: 'Your session has ended. Please log in again.', forbidden: 'This account may not see or do that.',
    not_found: 'Not found, or outside your area.', conflict: 'Somebody else has just handled this alert.', invalid: 'Something is filled in wrongly. Please check.',
    csrf: 'The page is out of date. Reload it and try again.', busy: 'The server is busy. Try again shortly.', unexpected: 'Unexpected error ({code}). Try again; if it stays, tell the system administrator.',
    required_name: 'Enter the account', required_password: 'Enter the password',
  },
  state: {
    loading: 'Loading…', retry: 'Try again', emptyList: 'No alert matches', emptyListHint: 'Widen the filters to see more.', loadFailed: 'Loading failed',
    noCasesTitle: 'This account sees no case data', noCasesText: 'System, security and audit administrators have no access to the people under supervision. Log in with a staff account to handle alerts.',
    notFoundTitle: 'There is no such page', back: 'Back', noMap: 'WebGL is off in this browser: the map is drawn in a simpler way.', mapUnavailable: 'The base map could not be loaded; only points are drawn.',
  },
  role: { commander: 'Command centre duty', officer: 'Judicial office', system_admin: 'System administrator', security_admin: 'Security administrator', audit_admin: 'Audit administrator' },
  weekday: { 0: 'Sun', 1: 'Mon', 2: 'Tue', 3: 'Wed', 4: 'Thu', 5: 'Fri', 6: 'Sat' },
  weekdayShort: { 1: 'M', 2: 'T', 3: 'W', 4: 'T', 5: 'F', 6: 'S', 7: 'S' },
  month: { 1: 'January', 2: 'February', 3: 'March', 4: 'April', 5: 'May', 6: 'June', 7: 'July', 8: 'August', 9: 'September', 10: 'October', 11: 'November', 12: 'December' },
  ago: { s: '{n} s ago', min: '{n} min ago', h: '{n} h ago', d: '{n} d ago' },
  span: { s: '{n} s', min: '{n} min', h: '{n} h', d: '{n} d' },
  unit: { m: 'm', km: 'km', kmh: 'km/h' },
  clock: { simulated: 'Simulated time ×{rate}', stepped: 'Simulated time · stepped', rehearsal: 'Rehearsal', note: 'Not real time; the data are a rehearsal' },
  stream: {
    live: 'Data from {age}', none: 'No data received yet', connecting: 'Connecting…', ended: 'Disconnected', stalledShort: 'Data have stopped', reconnectingShort: 'Connection lost, reconnecting',
    stalled: 'Live data stopped at {time} ({age}). The picture is from before; do not rely on it.', reconnecting: 'The connection to the server was lost at {time} ({age}) and is being restored. The picture is from before; do not rely on it.',
    reconnectNow: 'Reconnect now', closed: 'Connected again after {age}: all {n} alert changes of that time are in.', closedNone: 'Connected again after {age}: no alert changed in that time.',
    calendar: 'The days off of {years} are not recorded: rules that go by workdays take Saturdays and Sundays for the only days off.', calendarOpen: 'Record them',
    degraded: 'Running degraded: {what}.', old: 'No data at all for {age}.', failed: 'Loading failed: {why} Trying again.',
  },
  degraded: { database: 'database', broker: 'device broker', canary: 'self-test of the whole path', ledger: 'ledger', ingest: 'intake', clock: 'clock', alerts: 'alerting', positions: 'positions', ticks: 'timers', lag: 'processing is late', accounting: 'accounting', geofence: 'evaluation' },
  sound: {
    on: 'Sound on', blocked: 'No sound yet', missing: 'No sound device', muted: 'Muted', banner: 'The browser does not allow sound yet: new alerts will be silent.', enable: 'Turn sound on',
    missingBanner: 'This machine cannot make sound: new alerts are silent, watch the screen.', test: 'Test sound', mute: 'Mute for 5 minutes', unmute: 'Unmute', mutedFor: 'Muted until {time}',
  },
  class: { alarm: 'Alarm', reminder: 'Reminder', lead: 'Lead' },
  alertState: { open: 'Waiting', acknowledged: 'Taken', closed: 'Closed' },
  kind: {
    left_zone: 'Left the permitted area', entered_zone: 'Entered a prohibited place', passed_through: 'Passed through a prohibited place', device_silent: 'Device offline', check_unanswered: 'Check unanswered', strap_opened: 'Strap opened', low_battery: 'Low battery', power_lost: 'Power lost',
    location_lost: 'No location', separated: 'Person and device apart', check_missed: 'Check missed', absent: 'Not there on time', unverified: 'Could not be verified', dwelt: 'Long stay', near: 'Near a protected person', gathered: 'Gathering',
  },
  kindShort: { left_zone: 'Left area', entered_zone: 'Prohibited place', passed_through: 'Passed through', device_silent: 'Offline', check_unanswered: 'Unanswered', strap_opened: 'Strap', low_battery: 'Low battery', power_lost: 'Power lost', location_lost: 'No location', separated: 'Apart', check_missed: 'Check missed', absent: 'Absent', unverified: 'Unverified', dwelt: 'Long stay', near: 'Near', gathered: 'Gathering' },
  channel: { wristband: 'Wristband', phone: 'Phone', none: 'No device' },
  subjectState: { ok: 'Inside', silent: 'Device offline', out: 'Outside', unverifiable: 'Undecidable' },
  method: { gnss: 'Satellite', gps: 'Satellite', wifi: 'Wi-Fi', cell: 'Cell', rf: 'Radio', network: 'Network', unknown: 'Unknown' },
  violationState: { open: 'Going on', closed: 'Ended', withdrawn: 'Withdrawn' },
  purpose: { activity: 'Permitted area', prohibited: 'Prohibited place', destination: 'Leave destination', attention: 'Area of attention' },
  ruleKind: {
    stay_in: 'Stay inside', keep_out: 'Keep out', silence: 'Report in time', strap: 'Keep the strap closed', power: 'Keep the power on', location: 'Be located', dwell: 'Not stay long', separation: 'Keep wristband and phone together',
    presence: 'Be present', check_in: 'Check in', proximity: 'Keep away from a person', gathering: 'Gathering',
  },
  verdict: { inside: 'Inside', outside: 'Outside', undecidable: 'Undecidable', unverifiable: 'Undecidable', excluded: 'Not judged', undecided: 'Undecidable' },
  conclusion: {
    substantiated: 'True · to investigation', justified: 'Good reason (to be filed)', approved: 'Was approved', device_fault: 'Device fault', drift: 'Location drift', signal_loss: 'Signal lost',
    accidental: 'Set off by accident', healed: 'Healed by itself', unverifiable: 'Could not be verified', other: 'Other',
  },
  act: {
    raised: 'Alert raised', amended: 'More evidence', violation_closed: 'Condition ended', withdrawn: 'Withdrawn', acknowledged: 'Taken charge of', noted: 'Note', closed: 'Closed', healed: 'Healed and closed by itself',
    viewed: 'Viewed', opened: 'Condition began', decided: 'Found by the platform', platform: 'Platform',
  },
  wall: {
    inSupervision: 'Supervised', wristbands: 'Wristbands', silent: '{n} offline', phones: 'Phones', checks: 'Checks today', raised24: 'Alerts, 24 h', queue: 'Open alerts', calm: 'No open alerts', more: '{n} more',
    oldest: 'oldest {age}', handledBy: 'taken by {name}', due: 'due', overdue: 'late', byOffice: 'Open by office', noneOpen: 'none open', others: '{n} other offices: none',
    open: 'Open', focus: 'New alarm', demoOutline: 'Demo outline · not official', review: 'Backlog, review', fit: 'Whole map', people: 'people', waiting: 'Waiting for data',
  },
  legend: { title: 'Legend', subject: 'Subject', silent: 'Offline', unverifiable: 'Undecidable', cell: 'Cell and the like (hollow)', cluster: 'Group', office: 'Judicial office' },
  subject: {
    title: 'Subject', office: 'Office', device: 'Device', lastFix: 'Last fix', accuracy: 'Accuracy', battery: 'Battery', state: 'Verdict', method: 'Method', noPosition: 'No usable fix', track: 'Track, last {n} h',
    trackNote: 'This view was recorded. Lines join neighbouring fixes only; gaps stay open.', noTrack: 'No fix in this time', fixes: '{n} fixes, {gaps} gaps', alerts: 'Open alerts', close: 'Close', zones: 'Zones', restricted: 'You may not view this track', why: 'Say what the track is needed for; the view is recorded:',
  },
  trackPurpose: { check: 'Daily check', investigation: 'Investigation', approval: 'Leave approval', handover: 'Hand-over', alert: 'Alert' },
  list: {
    title: 'Alerts', state: 'State', class: 'Class', office: 'Office', all: 'All', subject: 'Subject', kind: 'Kind', raised: 'Raised', due: 'Due', handler: 'Taken by', conclusion: 'Conclusion', older: 'Older alerts', open: 'Open',
    closed: 'Closed', sentence: 'What happened', total: '{n} alerts', reset: 'Clear filters', end: 'Nothing older', changed: '{n} changes, click to refresh',
  },
  alert: {
    take: 'Take charge', note: 'Add note', close: 'Close', noteTitle: 'Add note', reset: 'Confirm reset', resetLead: 'You confirm that the device is on the person. From now on fixes speak for the person again; until then nothing is decided about where the person is.', apart: 'Accept separation', apartLead: 'You confirm that the device is not on the person. Fixes speak for the device alone until a reset is confirmed.', how: 'How it was seen', howSeen: 'In person', howVideo: 'By video', howRefitted: 'Fitted again', howNeeded: 'Say how it was seen', resetDone: 'Reset recorded', apartDone: 'Separation accepted', explanation: 'How it was decided', notePlaceholder: 'e.g. 22:20 called; says he delivers goods to Xiantao; told to return at once', noteSave: 'Save note', closeTitle: 'Close alert', conclusion: 'Conclusion',
    closeText: 'What was found', closePlaceholder: 'How it was checked, and on what grounds', followUp: 'Check again on', followUpHint: 'What could not be verified needs a date to check again', closeSubmit: 'Close alert', cancel: 'Cancel',
    takeHint: 'Names and phones are shown to whoever is in charge', holder: '{name} took charge at {time}', closedBy: '{name} closed it at {time}', healedAt: 'Healed and closed by itself at {time}', followUpOn: 'Check again on {date}',
    conflictTaken: '{name} took charge of this alert at {time}.', conflictClosed: '{name} closed this alert at {time}.', conflictOther: 'This alert was just changed. The newest state is loaded; look at it before you act.', mine: 'You',
    timeline: 'History', evidence: 'Evidence', person: 'Subject', phone: 'Phone', contacts: 'Contacts', masked: 'Take charge to see name and phones', maskedClosed: 'The alert is closed: name and phones are no longer shown', gone: 'There is no such alert', goneHint: 'The number is wrong, or it is not in your part of the organisation.', call: 'Call', name: 'Name', basis: 'Legal basis', rule: 'Rule', ruleText: '{kind} · version {version}',
    zone: 'Zone', zoneText: '{name} · version {version}', thresholds: 'Thresholds', engine: 'Engine', fixTable: 'Fixes and verdicts', time: 'Time', verdict: 'Verdict', margin: 'To boundary', accuracy: 'Accuracy', method: 'Method', speed: 'Speed', battery: 'Battery',
    marginOut: '{d} outside', marginIn: '{d} inside', late: 'Found from late data: verify first', review: 'From backlog: no siren, to be reviewed', dueIn: 'left', overdueBy: 'late', noFixes: 'No fix to show', noEvidence: 'This condition rests on no fixes', strip: 'Accuracy · battery · speed', flagged: 'doubtful, not judged',
    required: 'required', textNeeded: 'Say what was found when no other conclusion fits', stillHolds: 'It goes on. If it grows worse after closing, you will be told again.', conclusionNeeded: 'Choose a conclusion', followUpNeeded: 'A date is needed when nobody could verify', followUpPast: 'The date must lie after today', noteNeeded: 'Write something', saved: 'Noted', taken: 'You are in charge', done: 'Closed',
    prev: 'Previous', next: 'Next', back: 'Back to the list', documentNo: 'Document', opened: 'Began', decided: 'Found', ended: 'Ended', factsTitle: 'Grounds', seconds: '{n} s',
    useConfirm: 'Other', holderOnly: 'Closed by whoever is in charge; note why if you close it for them', heldByOther: '{name} is in charge of this alert',
  },
  param: {
    count: 'Fixes in a row', grace_s: 'Grace', band_m: 'Band', waive_margin_m: 'No grace beyond', independent_s: 'Independent after', ask_within_s: 'Answer within', pass_gap_s: 'Passing gap', silent_after_s: 'Offline after', silent_factor: 'Offline factor',
    class: 'Device', late_after_s: 'Late after', floor_gnss_m: 'Accuracy floor, satellite', floor_wifi_m: 'Accuracy floor, Wi-Fi', floor_cell_m: 'Accuracy floor, cell', floor_rf_m: 'Accuracy floor, radio', fastest_plausible_mps: 'Fastest plausible', ask_again_s: 'Asked again after', pass_speed_mps: 'Passing speed', pass_dwell_s: 'Passing stay',
    dwell_after_s: 'Stay', apart_m: 'Apart', near_m: 'Near', people: 'People', battery_low_pct: 'Low battery', battery: 'Battery', with: 'With',
    heard_at: 'Last heard', expected_s: 'Expected every', asked_at: 'Asked', at: 'Judged for', now: 'Judged at',
  },
  flag: { out_of_order: 'out of order', impossible: 'impossible move', skewed: 'device clock off', late: 'late', answer: 'answers a check', frozen: 'position stuck', detached: 'of the device only' },
  data: {
    title: 'Accounting', lead: 'Everything a device said went somewhere: received = stored + withheld by law + rejected + duplicate.', kind: 'Data', received: 'Received', stored: 'Stored', withheld: 'Withheld', rejected: 'Rejected', duplicate: 'Duplicate', reasons: 'Reason', balance: 'Balance',
    ok: 'agrees', differs: 'off by {n}', total: 'Total', none: 'Nothing received yet', count: 'Count', outcome: 'Outcome', refreshed: 'As of {time}', refresh: 'Refresh',
  },
  calendar: {
    title: 'Calendar', lead: 'Days off and make-up workdays as the State Council orders them. Schedules that go by workdays and days off follow them.', before: 'Year before', after: 'Year after', missingYear: '{year} missing', missing: 'The days off of {year} are not recorded, and rules go by them: Saturdays and Sundays are taken for the only ones.',
    unrecorded: 'The days off of {year} are not recorded.', source: 'Source', sourceHint: 'e.g. 国办发明电〔2025〕7号', official: 'As the State Council ordered it', count: '{off} days off, {work} make-up workdays', recorded: 'recorded by {who}, {time}',
    legendOff: 'Day off', legendWork: 'Make-up workday', legendWeekend: 'Weekend', import: 'Import a file', readOnly: 'Read only: staff of the whole city record it', off: 'day off', work: 'workday', offMark: 'off', workMark: 'on', name: 'Name of the holiday', asWeekday: 'as its weekday',
    eve: 'The file also has days of the year before: {days}. Change them in the calendar of {year}.', hint: 'Click a day to make it a day off or a workday', discard: 'Discard', save: 'Save', saved: 'Saved; people it bears on are being judged again', read: '{file} was read: check it, then save', leave: 'Changes are not saved. Leave?',
  },
  calendarError: {
    bad_day: 'Something is wrong: {where}', bad_year: 'The year must be between 2020 and 2100', empty_name: 'Enter the source (at most 200 characters)', calendar_changed: 'Somebody else has just changed this calendar. Discard your changes to load it, and do them again.', whole_only: 'The calendar holds for the whole city: its staff record it', malformed: 'Something is wrong: {where}', too_large: 'The file is too large to be the days of a year',
  },
  schedule: { title: 'Schedules', lead: 'When rules apply. A window that crosses midnight goes on in the next row.', rules: 'rules: {n}', version: 'version {n}', tail: '(from the day before)', closed: 'does not apply all day', none: 'No schedules yet' },
  scheduleOn: { any: 'Whenever it is that day', workday: 'Workdays only', day_off: 'Days off only' },
  obsKind: { fix: 'Fix', checkin: 'Check-in', status: 'Status', unknown: 'Unreadable' },
  reason: {
    no_binding: 'Bound to nobody then', no_authority: 'Outside the Art. 29 approval', finer_than: 'Finer than approved', not_enrolled: 'Not enrolled, or revoked', malformed: 'Malformed', wrong_type: 'Wrong type', missing_field: 'Field missing',
    bad_version: 'Unknown version', oversized: 'Too long', out_of_range: 'Out of range', null_island: 'At 0,0', undeclared_datum: 'Datum not declared', time_in_future: 'Time in the future', time_too_old: 'Time too old', time_without_zone: 'Time without zone',
    unknown_device: 'Unknown device', identity_mismatch: 'Not the device of the topic', bad_topic: 'Bad topic', sequence_conflict: 'Same number, other content (tampering?)', poison: 'Failed every attempt', not_permitted: 'Not permitted (another identity?)',
  },
  keys: { title: 'Keys', updown: 'Previous / next', enter: 'Open', digits: 'The act with that number', esc: 'Back / close', help: 'Show this', done: 'Close' },
  orgKind: { province_department: 'Provincial department', province_agency: 'Provincial agency', county_department: 'County bureau', county_agency: 'County agency', squadron: 'Squadron', judicial_office: 'Judicial office', social_organisation: 'Social organisation' },
};

export default en;
