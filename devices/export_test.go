package devices

// Explain is explain, for tests that talk to the database directly.
var Explain = explain
