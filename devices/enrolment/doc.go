// Package enrolment lets devices exchange a one-time code for their secret over HTTPS, before they have anything with which a broker
// would let them in.
package enrolment
