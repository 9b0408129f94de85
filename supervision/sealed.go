package supervision

import (
	"encoding/json"
	"fmt"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
)

// sealedPlaces says which columns hold envelopes, and where the one of a row belongs.
var sealedPlaces = map[string]map[string]func(row map[string]any) string{
	"subject_person": personPlaces, "person_history": personPlaces,
	"proceeding_step": {"sealed": func(r map[string]any) string { return sealedStep(numberIn(r, "proceeding_id"), int(numberIn(r, "n"))) }},
	"prohibition": {"sealed": func(r map[string]any) string {
		return sealedOrder(numberIn(r, "prohibition_id"), int(numberIn(r, "version")))
	}},
	"data_request": {"words": func(r map[string]any) string { return sealedRequest(id.Subject(numberIn(r, "subject_id"))) }},
}

var personPlaces = func() map[string]func(map[string]any) string {
	out := map[string]func(map[string]any) string{}
	for _, field := range []string{"name", "id_number", "phone", "address", "contacts"} {
		out[field] = func(r map[string]any) string { return sealed(id.Subject(numberIn(r, "subject_id")), field) }
	}
	return out
}()

func numberIn(row map[string]any, column string) int64 {
	switch v := row[column].(type) {
	case json.Number:
		n, _ := v.Int64() //nolint:errcheck // a column of numbers
		return n
	case float64:
		return int64(v)
	}
	return 0
}

// errColumn is wrapped by errors about a sealed column.
var errColumn = fmt.Errorf("a sealed column")

// Unseal opens the sealed columns of a row as the database writes it as JSON, for it to leave with who it is about (R105).
func Unseal(keys crypto.Provider, table string, row map[string]any) error {
	for column, place := range sealedPlaces[table] {
		text, ok := row[column].(string)
		if !ok || len(text) < 2 {
			continue
		}
		var envelope []byte
		if _, err := fmt.Sscanf(text, `\x%x`, &envelope); err != nil {
			return fmt.Errorf("%w: %s.%s: %w", errColumn, table, column, err)
		}
		plain, err := keys.Open(crypto.Person, place(row), envelope)
		if err != nil {
			return fmt.Errorf("open %s.%s: %w", table, column, err)
		}
		row[column] = string(plain)
	}
	for _, index := range []string{"name_index", "id_index", "phone_index"} {
		delete(row, index)
	}
	return nil
}

// Seal seals what Unseal opened with the keys of another place, and gives a person their index there.
func (s *Store) Seal(table string, row map[string]any) error {
	if table == "subject_person" {
		for index, of := range map[string]string{"name_index": byName, "id_index": byIDNumber, "phone_index": byPhone} {
			if text, ok := row[of].(string); ok && text != "" {
				row[index] = `\x` + fmt.Sprintf("%x", s.blind(of, text))
			}
		}
	}
	for column, place := range sealedPlaces[table] {
		text, ok := row[column].(string)
		if !ok {
			continue
		}
		envelope, err := s.keys.Seal(crypto.Person, place(row), []byte(text))
		if err != nil {
			return fmt.Errorf("seal %s.%s: %w", table, column, err)
		}
		row[column] = `\x` + fmt.Sprintf("%x", envelope)
	}
	return nil
}
