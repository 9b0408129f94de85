// Package evidence makes of a violation a package that stands on its own: what was seen, what the machine made of it, on which version of which rule
// and zone, on what authority, what people did, and that nobody rewrote it since. It is a zip file with a signed manifest; Verify needs no database, no
// keys file and none of the raw data, which retention may have removed. For people there is a PDF in it.
//
// It judges nothing: verdicts are geofence's, computed again from the fixes in the package, and Verify computes them once more.
package evidence
