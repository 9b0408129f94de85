// Package crypto protects what is kept: fields with personal data, credentials, quarantined payloads, digests of
// observations. The keys are in a file of their own, outside the database: a copy of the database alone opens nothing.
//
// Every use has a Purpose with a key of its own (HKDF-SHA-256 from the file's root keys), so that what was sealed or
// authenticated for one purpose means nothing to another. An envelope names its algorithm and its root key, so that other
// algorithms (SM4-GCM) and new keys can come while old envelopes stay readable.
//
// It refuses a keys file that others than its owner may read.
package crypto
