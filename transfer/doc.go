// Package transfer takes everything the platform holds of one person out in an open form, and into a fresh instance, so that what is there afterwards
// is what was there before: equal counts and hashes of each kind (R105; 个人信息保护法 45).
//
// A file is a zip of JSON lines, one file a table, a row a line as PostgreSQL writes it, and a manifest with counts and hashes. What is sealed in the
// database is in clear in it: whoever makes one answers for where it goes (it is written for its owner's eyes alone). Numbers stay as they are, so that
// evidence still refers to what it referred to; an instance in which one of them is taken by something else refuses the file. What is shared with others
// (organisations, staff, devices, zones) goes along, without anything one could log in with.
//
// Tables are found in the catalogue of the database, not in a list: one that is added and hangs on a person is taken along, or a test says it is not.
package transfer
