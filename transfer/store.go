package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/migrations"
	"zhijiao/supervision"
)

// Left are tables that hang on a person and stay, with why.
var Left = map[string]string{
	"company_late":     "work in progress of evaluation; what it leads to is taken along",
	"subject_state":    "evaluation makes it anew from what is taken along",
	"state_checkpoint": "as subject_state",
	"ledger":           "goes as ledger_elsewhere: the ledger of an instance says what happened there",
	"quarantine":       "by device, and refused: it is nobody's data until somebody takes it up",
}

// Children are tables whose rows belong to a person's rows without naming the person, by the table they hang on and the column.
var children = []struct{ table, parent, column string }{
	{"alert_event", "alert", "alert_id"}, {"proceeding_step", "proceeding", "proceeding_id"},
}

// versions are tables whose rows go along with a shared one.
var versions = []struct{ table, parent, column string }{
	{"zone_version", "zone", "zone_id"}, {"schedule_version", "schedule", "schedule_id"},
}

// extra are references that no foreign key says.
var extra = map[string]map[string]string{
	"position": {"binding_id": "binding", "radio_id": "radio"},
}

// blank is what does not leave with an account.
var blank = map[string]map[string]any{
	"account": {"password_hash": "-", "totp": nil, "totp_step": json.Number("0"), "single_sign_on": nil, "must_change": true},
}

// catalogue is what the database says of its tables.
type catalogue struct {
	bySubject []string            // tables with a subject_id, partitions and what is left aside
	keys      map[string][]string // primary key columns
	refs      map[string][]ref    // foreign keys
	geometry  map[string][]string // columns
}

// ref is a foreign key: columns of a table that name a row of another.
type ref struct {
	columns, to []string
	table       string
}

// Tables are the tables with a column subject_id, whatever becomes of them here.
func Tables(ctx context.Context, q supervision.Querier) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'subject_id' AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func readCatalogue(ctx context.Context, tx pgx.Tx) (*catalogue, error) {
	c := &catalogue{keys: map[string][]string{}, refs: map[string][]ref{}, geometry: map[string][]string{}}
	all, err := Tables(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if _, left := Left[t]; !left && t != "ledger_elsewhere" {
			c.bySubject = append(c.bySubject, t)
		}
	}
	rows, err := tx.Query(ctx, `SELECT r.contype::text, t.relname::text, coalesce(f.relname::text, ''),
			ARRAY(SELECT attname::text FROM unnest(r.conkey) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = r.conrelid AND a.attnum = k.n ORDER BY o),
			ARRAY(SELECT attname::text FROM unnest(r.confkey) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = r.confrelid AND a.attnum = k.n ORDER BY o)
		FROM pg_constraint r JOIN pg_class t ON t.oid = r.conrelid LEFT JOIN pg_class f ON f.oid = r.confrelid
		WHERE r.contype IN ('p', 'f') AND t.relnamespace = current_schema()::regnamespace AND NOT t.relispartition`)
	if err != nil {
		return nil, err
	}
	var kind, table, to string
	var columns, toColumns []string
	if _, err := pgx.ForEachRow(rows, []any{&kind, &table, &to, &columns, &toColumns}, func() error {
		if kind == "p" {
			c.keys[table] = slices.Clone(columns)
		} else {
			c.refs[table] = append(c.refs[table], ref{slices.Clone(columns), slices.Clone(toColumns), to})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND t.typname = 'geometry' AND NOT a.attisdropped`)
	if err != nil {
		return nil, err
	}
	var column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error { c.geometry[table] = append(c.geometry[table], column); return nil })
	return c, err
}

// quoted is a name as SQL takes it: one of them is a word of the language.
func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// read reads rows as JSON, in the order of their key.
func (c *catalogue) read(ctx context.Context, tx pgx.Tx, table, where string, args ...any) ([]map[string]any, error) {
	expr := "to_jsonb(x)"
	for _, g := range c.geometry[table] {
		expr += fmt.Sprintf(" || jsonb_build_object('%s', x.%s::text)", g, g) // hexadecimal EWKB, and not GeoJSON
	}
	order := " ORDER BY x::text"
	if k := c.keys[table]; len(k) > 0 {
		order = " ORDER BY x." + strings.Join(k, ", x.")
	}
	rows, err := tx.Query(ctx, "SELECT ("+expr+")::text FROM "+quoted(table)+" x WHERE "+where+order, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v map[string]any, err error) {
		var doc string
		if err := row.Scan(&doc); err != nil {
			return nil, err
		}
		d := json.NewDecoder(strings.NewReader(doc))
		d.UseNumber()
		return v, d.Decode(&v)
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	return list, nil
}

// Export reads everything there is of a subject, in one snapshot, with what is sealed in clear.
func Export(ctx context.Context, pool *pgxpool.Pool, keys crypto.Provider, subject id.Subject, at time.Time) (*Person, error) {
	p := &Person{Rows: map[string][]map[string]any{}, Manifest: Manifest{Format: Format, Schema: migrations.Newest(), Subject: int64(subject), MadeAt: at.UTC()}}
	own := map[string]bool{"ledger_elsewhere": true}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		c, err := readCatalogue(ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range c.bySubject {
			own[t] = true
			if p.Rows[t], err = c.read(ctx, tx, t, "x.subject_id = $1", int64(subject)); err != nil {
				return err
			}
		}
		if len(p.Rows["subject"]) == 0 {
			return supervision.ErrNotFound
		}
		p.Manifest.LocalNo, _ = p.Rows["subject"][0]["local_no"].(string)
		for _, ch := range children {
			own[ch.table] = true
			if p.Rows[ch.table], err = c.read(ctx, tx, ch.table, "x."+ch.column+" = ANY ($1)", numbers(p.Rows[ch.parent], ch.column)); err != nil {
				return err
			}
		}
		if p.Rows["ledger_elsewhere"], err = c.read(ctx, tx, "ledger_elsewhere", "x.subject_id = $1", int64(subject)); err != nil {
			return err
		}
		if len(p.Rows["ledger_elsewhere"]) == 0 { // it is from here
			here, err := c.read(ctx, tx, "ledger", "x.subject_id = $1", int64(subject))
			if err != nil {
				return err
			}
			for _, r := range here {
				p.Rows["ledger_elsewhere"] = append(p.Rows["ledger_elsewhere"], map[string]any{"subject_id": r["subject_id"], "pos": r["pos"], "entry": r})
			}
		}
		if err := p.follow(ctx, tx, c, own); err != nil {
			return err
		}
		for table, rows := range p.Rows {
			for _, r := range rows {
				if err := supervision.Unseal(keys, table, r); err != nil {
					return err
				}
				for column, v := range blank[table] {
					r[column] = v
				}
			}
		}
		return p.sum(func(t string) bool { return !own[t] })
	})
	if err != nil {
		return nil, fmt.Errorf("export a subject: %w", err)
	}
	return p, nil
}

// carried are the tables that may go along: those of a person, and what follow can reach from them. What says who may do what (account_role,
// security_policy) is none of them: whoever wrote a file by hand gives nobody rights with it.
func (c *catalogue) carried() map[string]bool {
	out := map[string]bool{}
	todo := append([]string{"subject", "ledger_elsewhere"}, c.bySubject...)
	for _, ch := range children {
		todo = append(todo, ch.table)
	}
	for len(todo) > 0 {
		table := todo[0]
		todo = todo[1:]
		if out[table] {
			continue
		}
		out[table] = true
		for _, f := range c.refs[table] {
			todo = append(todo, f.table)
		}
		for _, to := range extra[table] {
			todo = append(todo, to)
		}
		for _, v := range versions {
			if v.parent == table {
				todo = append(todo, v.table)
			}
		}
	}
	return out
}

// numbers are the values of a column.
func numbers(rows []map[string]any, column string) []int64 {
	out := []int64{}
	for _, r := range rows {
		if n, ok := r[column].(json.Number); ok {
			v, err := n.Int64()
			if err == nil && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// follow takes along what rows refer to, and what that refers to.
func (p *Person) follow(ctx context.Context, tx pgx.Tx, c *catalogue, own map[string]bool) error {
	have := map[string]map[int64]bool{}
	todo := []string{}
	for t := range p.Rows {
		todo = append(todo, t)
	}
	for len(todo) > 0 {
		table := todo[0]
		todo = todo[1:]
		refs := slices.Clone(c.refs[table])
		for column, to := range extra[table] {
			refs = append(refs, ref{[]string{column}, []string{to + "_id"}, to})
		}
		for _, f := range refs {
			if own[f.table] || f.table == "subject" && len(f.columns) == 1 && f.columns[0] == "subject_id" {
				continue
			}
			var missing []int64
			for _, n := range numbers(p.Rows[table], f.columns[0]) {
				if have[f.table] == nil {
					have[f.table] = map[int64]bool{}
				}
				if !have[f.table][n] {
					have[f.table][n] = true
					missing = append(missing, n)
				}
			}
			if len(missing) == 0 {
				continue
			}
			found, err := c.read(ctx, tx, f.table, "x."+f.to[0]+" = ANY ($1)", missing)
			if err != nil {
				return err
			}
			p.Rows[f.table] = append(p.Rows[f.table], found...)
			todo = append(todo, f.table)
			for _, v := range versions {
				if v.parent == f.table {
					more, err := c.read(ctx, tx, v.table, "x."+v.column+" = ANY ($1)", missing)
					if err != nil {
						return err
					}
					p.Rows[v.table] = append(p.Rows[v.table], more...)
					todo = append(todo, v.table)
				}
			}
		}
	}
	return nil
}

// ErrTaken means that a number in the file is something else's in this instance.
var ErrTaken = errors.New("a number in the file is something else's here: a person is taken into a fresh instance")

// names tell shared things apart.
var names = map[string]string{"org": "name", "officer": "name", "account": "name", "device": "serial", "zone": "name", "schedule": "name"}

// Import takes a person in, all or nothing. It writes rows as they were, past the triggers that guard how they come about, and then looks at every
// foreign key: it needs the owner of the database. progress may be nil.
func Import(ctx context.Context, pool *pgxpool.Pool, people *supervision.Store, p *Person, at time.Time, dry bool, progress func(table string, rows int)) error {
	errDry := errors.New("dry")
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if p.Manifest.Schema != migrations.Newest() {
			return fmt.Errorf("%w: it is of schema %d, this is %d", ErrFile, p.Manifest.Schema, migrations.Newest())
		}
		c, err := readCatalogue(ctx, tx)
		if err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM subject WHERE local_no = $1 OR subject_id = $2)", p.Manifest.LocalNo, p.Manifest.Subject).Scan(&there); err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: this person, or another with the number, is here already", ErrTaken)
		}
		if err := partitions(ctx, tx, p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return fmt.Errorf("import needs the owner of the database: %w", err)
		}
		tables := make([]string, 0, len(p.Rows))
		for t := range p.Rows {
			tables = append(tables, t)
		}
		slices.Sort(tables)
		carried := c.carried()
		for _, t := range tables {
			if !carried[t] {
				return fmt.Errorf("%w: %q does not go along with a person", ErrFile, t)
			}
			if progress != nil {
				progress(t, len(p.Rows[t]))
			}
			if err := p.put(ctx, tx, c, people, t); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = origin"); err != nil {
			return err
		}
		if err := checked(ctx, tx, c, tables); err != nil {
			return err
		}
		if err := beyond(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO subject_state (subject_id) VALUES ($1) ON CONFLICT DO NOTHING", p.Manifest.Subject); err != nil {
			return fmt.Errorf("have it judged: %w", err)
		}
		if dry {
			return errDry
		}
		return ledger.Append(ctx, tx, ledger.Entry{At: at, Kind: "subject.imported", Subject: id.Subject(p.Manifest.Subject), Entity: "subject", EntityID: p.Manifest.Subject, Version: 1})
	})
	if err != nil && !errors.Is(err, errDry) {
		return fmt.Errorf("import a subject: %w", err)
	}
	return nil
}

// partitions makes those of history that the rows go to.
func partitions(ctx context.Context, tx pgx.Tx, p *Person) error {
	days := map[string]string{}
	for table, of := range map[string]struct{ column, make string }{"position": {"fix_at", "position_partition"}, "position_pack": {"hour", "position_pack_partition"}} {
		for _, r := range p.Rows[table] {
			if at, ok := r[of.column].(string); ok && len(at) >= 10 {
				days[of.make+at[:10]] = of.make
			}
		}
	}
	for day, function := range days {
		if _, err := tx.Exec(ctx, "SELECT "+function+"($1::date)", strings.TrimPrefix(day, function)); err != nil {
			return fmt.Errorf("make room for history: %w", err)
		}
	}
	return nil
}

// put writes the rows of a table. A shared one that is here stays, and has to be the same thing.
func (p *Person) put(ctx context.Context, tx pgx.Tx, c *catalogue, people *supervision.Store, table string) error {
	shared := p.Manifest.Kinds[table].Shared
	key := strings.Join(c.keys[table], " AND ")
	conflict := ""
	if shared {
		conflict = " ON CONFLICT DO NOTHING"
	}
	for _, r := range p.Rows[table] {
		row := map[string]any{}
		for k, v := range r {
			row[k] = v
		}
		if err := people.Seal(table, row); err != nil {
			return err
		}
		for column, v := range blank[table] { // whoever made the file may have left it there
			row[column] = v
		}
		if table == "account" {
			row["disabled_at"] = p.Manifest.MadeAt
		}
		doc, err := json.Marshal(row)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "INSERT INTO "+quoted(table)+" OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::"+quoted(table)+", $1::jsonb)).*"+conflict, string(doc))
		if err != nil {
			return fmt.Errorf("%s (%s): %w", table, key, err)
		}
		if name := names[table]; tag.RowsAffected() == 0 && name != "" {
			var same bool
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+quoted(table)+" WHERE "+c.keys[table][0]+" = $1::text::bigint AND "+name+" = $2)", fmt.Sprint(r[c.keys[table][0]]), r[name]).Scan(&same); err != nil {
				return err
			}
			if !same {
				return fmt.Errorf("%w: %s %v", ErrTaken, table, r[c.keys[table][0]])
			}
		}
	}
	return nil
}

// checked looks at every foreign key of the tables that were written: triggers did not.
func checked(ctx context.Context, tx pgx.Tx, c *catalogue, tables []string) error {
	for _, t := range tables {
		for _, f := range c.refs[t] {
			var on, null []string
			for i := range f.columns {
				on = append(on, "y."+f.to[i]+" = x."+f.columns[i])
				null = append(null, "x."+f.columns[i]+" IS NOT NULL")
			}
			var broken bool
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+quoted(t)+" x WHERE "+strings.Join(null, " AND ")+" AND NOT EXISTS (SELECT FROM "+quoted(f.table)+" y WHERE "+strings.Join(on, " AND ")+"))").Scan(&broken); err != nil {
				return fmt.Errorf("check %s: %w", t, err)
			}
			if broken {
				return fmt.Errorf("%w: %s refers to a %s that is not there", ErrFile, t, f.table)
			}
		}
	}
	return nil
}

// beyond moves sequences beyond the numbers that came.
func beyond(ctx context.Context, tx pgx.Tx) error {
	// A sequence belongs to its column, or is named for the columns that share it.
	rows, err := tx.Query(ctx, `WITH s AS (SELECT oid, relname, relnamespace FROM pg_class WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace)
		SELECT s.relname::text, c.relname::text, a.attname::text FROM s
			JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('i', 'a')
			JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
		UNION
		SELECT s.relname::text, c.relname::text, a.attname::text FROM s
			JOIN pg_attribute a ON a.attname = s.relname AND a.attnum > 0 AND NOT a.attisdropped
			JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = s.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
		ORDER BY 1, 2`)
	if err != nil {
		return fmt.Errorf("read sequences: %w", err)
	}
	type sequence struct{ Name, Table, Column string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sequence])
	if err != nil {
		return fmt.Errorf("read sequences: %w", err)
	}
	for _, s := range list {
		if _, err := tx.Exec(ctx, "SELECT setval('"+s.Name+"', greatest((SELECT last_value FROM "+s.Name+"), (SELECT coalesce(max("+s.Column+"), 1) FROM "+quoted(s.Table)+")))"); err != nil {
			return fmt.Errorf("move sequence %s: %w", s.Name, err)
		}
	}
	return nil
}
