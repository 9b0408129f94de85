package rowsec

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/id"
	"zhijiao/migrations"
)

type scopeKey struct{}

// With is a context whose queries see what is in scope.
func With(ctx context.Context, scope id.Org) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// ScopeOf is the scope of a context; 0: none.
func ScopeOf(ctx context.Context) id.Org {
	scope, _ := ctx.Value(scopeKey{}).(id.Org)
	return scope
}

// given is where a connection keeps which scope it has.
const given = "zhijiao.scope"

// Open makes a pool like another, whose connections read as migrations.Reader. That a scope is all there is, is looked at when a connection is given it: with a second tree beside
// the first it is no longer, and the program is started anew.
func Open(ctx context.Context, like *pgxpool.Pool, size int32) (*pgxpool.Pool, error) {
	pc := like.Config()
	pc.MaxConns, pc.MinConns = size, 0
	pc.ConnConfig.RuntimeParams["application_name"] = "zhijiao read"
	pc.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		scope := ScopeOf(ctx)
		if have, ok := conn.PgConn().CustomData()[given].(id.Org); ok && have == scope {
			return true, nil
		}
		if err := give(ctx, conn, scope); err != nil { // the connection goes: nobody knows whose it is
			return false, fmt.Errorf("set the scope: %w", err)
		}
		conn.PgConn().CustomData()[given] = scope
		return true, nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open the pool for reading: %w", err)
	}
	return pool, nil
}

// give has a connection read what is in scope, and nothing else.
func give(ctx context.Context, conn *pgx.Conn, scope id.Org) error {
	var whole bool
	if _, err := conn.Exec(ctx, "SET ROLE "+migrations.Reader); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT scope_whole() FROM set_config('zhijiao.scope', $1, false)", strconv.FormatInt(int64(scope), 10)).Scan(&whole); err != nil || !whole {
		return err
	}
	_, err := conn.Exec(ctx, "SET ROLE "+migrations.Whole)
	return err
}
