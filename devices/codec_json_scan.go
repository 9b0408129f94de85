package devices

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) from memory, strictly, without allocating. The readers of the standard library take
// three to five times as long, stop at the first error of the whole message, and let duplicate keys pass.
type scanner struct {
	b   []byte
	i   int
	bad bool
	// state of the innermost container that is read by hand
	first bool
	done  bool
}

// token is one value: its first byte as kind ('0' for every number), and its text, without quotes for strings.
type token struct {
	kind    byte
	raw     []byte
	escaped bool
}

func (t token) null() bool { return t.kind == 'n' }

func (s *scanner) space() {
	for s.i < len(s.b) && space(s.b[s.i]) {
		s.i++
	}
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next consumes c when it is what comes next.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// object enters an object that is read with more and key.
func (s *scanner) object() bool {
	s.first = true
	return s.next('{')
}

// more says whether another member follows.
func (s *scanner) more() bool {
	if s.bad {
		return false
	}
	if s.next('}') {
		s.done = true
		return false
	}
	if !s.first && !s.next(',') {
		s.bad = true
		return false
	}
	s.first = false
	return true
}

// key reads the name of a member and the colon.
func (s *scanner) key() ([]byte, bool) {
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, false
	}
	t, ok := s.str()
	if !ok || !s.next(':') {
		return nil, false
	}
	return t.unescaped(), true
}

// closed says whether the object ended properly and nothing follows it.
func (s *scanner) closed() bool {
	s.space()
	return s.done && !s.bad && s.i == len(s.b)
}

func (s *scanner) ok() bool { return !s.bad }

// array enters an array that is read with moreItems.
func (s *scanner) array() bool {
	s.first = true
	return s.next('[')
}

func (s *scanner) moreItems() bool {
	if s.next(']') {
		s.first = false
		return false
	}
	if !s.first && !s.next(',') {
		s.bad = true
		return false
	}
	s.first = false
	return true
}

// extent skips to the end of an array's element, looking only at strings and brackets.
func (s *scanner) extent() (from, until int, ok bool) {
	s.space()
	from = s.i
	depth := 0
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case '"':
			if !s.skipString() {
				return 0, 0, false
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return 0, 0, false
			}
		case '}', ']':
			if depth == 0 {
				return from, s.i, c == ']' && s.i > from
			}
			depth--
		case ',':
			if depth == 0 {
				return from, s.i, s.i > from
			}
		}
		s.i++
	}
	return 0, 0, false
}

// skipString passes a string without judging it.
func (s *scanner) skipString() bool {
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return true
		}
	}
	return false
}

// value reads any value. Objects and arrays are checked and passed over.
func (s *scanner) value() (token, bool) { return s.nested(0) }

func (s *scanner) nested(depth int) (token, bool) {
	s.space()
	if s.i >= len(s.b) {
		return token{}, false
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '{' || c == '[':
		return token{kind: c}, depth < maxDepth && s.container(depth+1)
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return token{}, false
}

// container passes over an object or array. depth bounds the stack.
func (s *scanner) container(depth int) bool {
	object := s.b[s.i] == '{'
	end := byte(']')
	if object {
		end = '}'
	}
	s.i++
	if s.next(end) {
		return true
	}
	for {
		if object {
			if _, ok := s.key(); !ok {
				return false
			}
		}
		if _, ok := s.nested(depth); !ok {
			return false
		}
		if s.next(end) {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

func (s *scanner) word(w string) (token, bool) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return token{}, false
	}
	s.i += len(w)
	return token{kind: w[0]}, true
}

// str reads a string and checks its escapes and its UTF-8.
func (s *scanner) str() (token, bool) {
	from := s.i + 1
	t := token{kind: '"'}
	ascii := true
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			t.raw = s.b[from:s.i]
			s.i++
			return t, ascii || utf8.Valid(t.raw)
		case c < ' ':
			return t, false
		case c == '\\':
			t.escaped = true
			n, ok := escape(s.b[s.i:])
			if !ok {
				return t, false
			}
			s.i += n - 1
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return t, false
}

// escape is the length of the escape sequence at the start of b.
func escape(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, true
	case 'u':
		if len(b) < 6 {
			return 0, false
		}
		for _, c := range b[2:6] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return 0, false
			}
		}
		return 6, true
	}
	return 0, false
}

// number reads a number by the grammar of JSON: no leading zero, no NaN, no hexadecimal.
func (s *scanner) number() (token, bool) {
	from := s.i
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case s.digits() == 0:
		return token{}, false
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if s.digits() == 0 {
			return token{}, false
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if s.digits() == 0 {
			return token{}, false
		}
	}
	return token{kind: '0', raw: s.b[from:s.i]}, true
}

func (s *scanner) digits() int {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i - from
}

// unescaped is the text of a string. Only the escapes of ASCII are resolved: nothing else can be a name or a value of ours.
func (t token) unescaped() []byte {
	if !t.escaped {
		return t.raw
	}
	out := make([]byte, 0, len(t.raw))
	for i := 0; i < len(t.raw); {
		if t.raw[i] != '\\' {
			out = append(out, t.raw[i])
			i++
			continue
		}
		n, _ := escape(t.raw[i:])
		c := byte(utf8.RuneSelf - 1) // DEL: in no name and no value of ours
		switch e := t.raw[i+1]; e {
		case '"', '\\', '/':
			c = e
		case 'u':
			if r, err := strconv.ParseUint(string(t.raw[i+2:i+6]), 16, 16); err == nil && r < utf8.RuneSelf {
				c = byte(r)
			}
		}
		out = append(out, c)
		i += n
	}
	return out
}

// maxCounter bounds boot counters and sequence numbers, well below where arithmetic on them could overflow.
const maxCounter = 1 << 62

// maxNumber is the longest number we look at.
const maxNumber = 40

// integer reads a whole number within bounds.
func (t token) integer(field string, least, most int64) (int64, Fault) {
	if t.kind != '0' {
		return 0, Fault{WrongType, field, "not a number"}
	}
	for _, c := range t.raw {
		if c == '.' || c == 'e' || c == 'E' {
			return 0, Fault{WrongType, field, "not a whole number"}
		}
	}
	if len(t.raw) > maxNumber {
		return 0, Fault{OutOfRange, field, "longer than any number it can be"}
	}
	n, err := strconv.ParseInt(string(t.raw), 10, 64)
	if err != nil || n < least || n > most {
		return 0, Fault{OutOfRange, field, "outside what the field can mean"}
	}
	return n, Fault{}
}

// float reads a number within bounds.
func (t token) float(field string, least, most float64) (float64, Fault) {
	if t.kind != '0' {
		return 0, Fault{WrongType, field, "not a number"}
	}
	if len(t.raw) > maxNumber {
		return 0, Fault{OutOfRange, field, "longer than any number it can be"}
	}
	x, err := strconv.ParseFloat(string(t.raw), 64)
	if err != nil || !(x >= least && x <= most) {
		return 0, Fault{OutOfRange, field, "outside what the field can mean"}
	}
	return x + 0, Fault{} // -0 becomes 0
}

// text reads a string.
func (t token) text(field string) ([]byte, Fault) {
	if t.kind != '"' {
		return nil, Fault{WrongType, field, "not a string"}
	}
	return t.unescaped(), Fault{}
}

// code reads a short string of letters, digits and what separates them.
func (t token) code(field string, most int) (string, Fault) {
	b, f := t.text(field)
	if f.Reason != "" {
		return "", f
	}
	if len(b) > most {
		return "", Fault{OutOfRange, field, "longer than the field may be"}
	}
	for _, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':') {
			return "", Fault{OutOfRange, field, "a character that the field cannot hold"}
		}
	}
	return string(b), Fault{}
}

// instant reads a time of RFC 3339 with its zone.
func (t token) instant(field string) (time.Time, Fault) {
	b, f := t.text(field)
	if f.Reason != "" {
		return time.Time{}, f
	}
	var at time.Time
	if len(b) > maxNumber || at.UnmarshalText(b) != nil {
		if len(b) <= maxNumber && zoneless(string(b)) {
			return time.Time{}, Fault{TimeWithoutZone, field, "the time does not say its zone"}
		}
		return time.Time{}, Fault{Malformed, field, "not a time of RFC 3339"}
	}
	return at.UTC().Truncate(time.Microsecond), Fault{}
}

// zoneless says whether s would be a time if it had a zone.
func zoneless(s string) bool {
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}
