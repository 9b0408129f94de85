package ingest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// away says whether an error is about the database, or about who may write to it, and not about what it was given: then nothing is anybody's fault and
// the same batch will do later. Anything else may be one observation's doing.
func away(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, ErrFenced) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return true
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", // connection
		"25", // a transaction in a state we did not put it in, read-only among them: a failover
		"40", // serialization, deadlock
		"53", // disk full, out of memory, too many connections
		"55", // a lock not to be had
		"57", // shut down, cancelled
		"58", // the disk
		"XX": // broken inside
		return true
	}
	return false
}

// lockedOut says whether an error is that a lock was not to be had in time.
func lockedOut(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}
