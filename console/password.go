package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// hasher makes and checks password hashes in PHC string format; the algorithm stands in the string, so that another (such
// as one of SM3) can come beside it and old hashes are replaced when their owner logs in.
type hasher interface {
	hash(ctx context.Context, password string) (string, error)
	// check reports whether the password fits, and whether the hash should be made anew.
	check(ctx context.Context, password, phc string) (ok, stale bool, err error)
}

// argon is argon2id with the parameters of OWASP ASVS 5.0 appendix C. Each computation takes memory KiB, so only so many run
// at once.
type argon struct {
	time, memory uint32
	threads      uint8
	slots        chan struct{}
}

const (
	saltBytes    = 16
	hashBytes    = 32
	passwordMost = 1024 // bytes; longer ones are nobody's
)

func newArgon() *argon {
	return &argon{time: 1, memory: 64 << 10, threads: 1, slots: make(chan struct{}, 4)}
}

func (a *argon) derive(ctx context.Context, password string, salt []byte, time, memory uint32, threads uint8) ([]byte, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, time, memory, threads, hashBytes), nil
}

func (a *argon) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	key, err := a.derive(ctx, password, salt, a.time, a.memory, a.threads)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads, b64(salt), b64(key)), nil
}

var errHash = errors.New("a password hash of no known form")

func (a *argon) check(ctx context.Context, password, phc string) (ok, stale bool, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, false, errHash
	}
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil || memory > 1<<20 || time > 10 || time == 0 || threads == 0 {
		return false, false, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err := errors.Join(err1, err2); err != nil || len(want) != hashBytes {
		return false, false, errHash
	}
	got, err := a.derive(ctx, password, salt, time, memory, threads)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, memory != a.memory || time != a.time || threads != a.threads, nil
}

// RandomPassword is a password of about 120 bits, in groups that can be read out.
func RandomPassword() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // no l, o, 0, 1
	raw := make([]byte, 24)
	rand.Read(raw)
	var b strings.Builder
	for i, v := range raw {
		if i > 0 && i%6 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(v)%len(alphabet)])
	}
	return b.String()
}
