// Package replay reads recorded traces and makes of them the observations a device would have sent.
//
// A trace is CSV with a header, plain or gzipped, one file a person. Columns are found by name; user, t_utc, lat and lon
// must be there, acc_m, provider, network_type and speed are used when they are. Coordinates are WGS-84 and t_utc is an
// instant with its zone. GPX and the .plt of GeoLife are read too.
package replay
