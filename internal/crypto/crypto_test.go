package crypto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// known are the keys of the known answers, which were computed with another implementation.
func known(t *testing.T) *Keys {
	t.Helper()
	key := make([]byte, rootSize)
	for i := range key {
		key[i] = byte(i)
	}
	k, err := newKeys(map[uint16]root{1: {key, International}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	k := known(t)
	for _, c := range []struct {
		use     string
		purpose Purpose
		want    string
	}{
		{"mac", DeviceSecret, "8f84ebb09b86ae097b4aa56b6c09809f068c37f26b0ec55f08183dfa78c5e79e"},
		{"mac", ObservationDigest, "baccefaf5b404ca25c2ce1e2c4b470b00dbe79d06064b906e1939693535bbaa8"},
		{"aes-256-gcm", Person, "5aed9fb0fed99fbb2f6bc57636315f27a3866298a7f737d16275a46d67c935e4"},
	} {
		got, err := k.derive(1, c.use, c.purpose, 32)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s of %s is %x, %v", c.use, c.purpose, got, err)
		}
	}
	if got := hex.EncodeToString(DeviceMAC(k)([]byte("a secret"))); got != "e0d43fd086aee19884e3722248832544ef5685254de02b12ceefcd4116f7cc13" {
		t.Errorf("MAC is %s", got)
	}
	if got := k.Digest().Sum64(5, []byte(`{"seq":1}`)); got != 0xe913bedb53767bfb {
		t.Errorf("digest is %x", got)
	}
	envelope, _ := hex.DecodeString("010001000102030405060708090a0b5296dd428d2fd9849a63e650b15fb17af3c72b40c7ce")
	if got, err := k.Open(Person, "subject_person:17:name", envelope); err != nil || string(got) != "天门" {
		t.Errorf("envelope holds %q, %v", got, err)
	}
}

func TestEnvelopeOpensOnlyWhereItBelongs(t *testing.T) {
	t.Parallel()
	k := Random()
	env, err := k.Seal(Person, "subject_person:1:name", []byte("someone"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(Person, "subject_person:1:name", env); err != nil || string(got) != "someone" {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(env, []byte("someone")) {
		t.Fatal("the envelope is readable")
	}
	refuse := func(name string, p Provider, purpose Purpose, context string, e []byte) {
		if got, err := p.Open(purpose, context, e); !errors.Is(err, ErrEnvelope) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	refuse("another purpose", k, Quarantine, "subject_person:1:name", env)
	refuse("another place", k, Person, "subject_person:2:name", env)
	refuse("other keys", Random(), Person, "subject_person:1:name", env)
	for i := range env {
		broken := bytes.Clone(env)
		broken[i] ^= 1
		refuse("a bit turned", k, Person, "subject_person:1:name", broken)
		refuse("cut short", k, Person, "subject_person:1:name", env[:i])
	}
}

func TestNewKeySealsAndOldOneStillOpens(t *testing.T) {
	t.Parallel()
	one, two := randomRoot(), randomRoot()
	before, err := newKeys(map[uint16]root{1: {one, International}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := newKeys(map[uint16]root{1: {one, International}, 2: {two, International}})
	if err != nil {
		t.Fatal(err)
	}
	old, _ := before.Seal(Person, "", []byte("old"))
	if got, err := after.Open(Person, "", old); err != nil || string(got) != "old" {
		t.Errorf("old envelope: %q, %v", got, err)
	}
	fresh, _ := after.Seal(Person, "", []byte("new"))
	if _, err := before.Open(Person, "", fresh); !errors.Is(err, ErrEnvelope) {
		t.Errorf("new envelope opened with the old key: %v", err)
	}
	if !bytes.Equal(before.MAC(DeviceSecret, []byte("x")), after.MAC(DeviceSecret, []byte("x"))) {
		t.Error("a new key turned every device away")
	}
	if before.Digest().Sum64(1, []byte("x")) != after.Digest().Sum64(1, []byte("x")) {
		t.Error("a new key made every duplicate a conflict")
	}
}

func TestPurposesAreSeparate(t *testing.T) {
	t.Parallel()
	k := Random()
	if bytes.Equal(k.MAC(DeviceSecret, []byte("x")), k.MAC(SessionToken, []byte("x"))) {
		t.Error("two purposes share a key")
	}
	if k.Digest().Sum64(1, []byte("x")) == k.Digest().Sum64(2, []byte("x")) {
		t.Error("two labels share a digest")
	}
}

func TestDigestConcurrently(t *testing.T) {
	t.Parallel()
	k := Random().Digest()
	want := k.Sum64(1, []byte("observation"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if k.Sum64(1, []byte("observation")) != want {
					t.Error("another digest")
				}
			}
		})
	}
	wg.Wait()
}

func TestKeysFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "keys")
	k, created, err := LoadOrCreate(path)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	again, created, err := LoadOrCreate(path)
	if err != nil || created || !bytes.Equal(k.MAC(Person, nil), again.MAC(Person, nil)) {
		t.Fatalf("created %v, other keys or %v", created, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a file others may read: %v", err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Fatalf("%d files left", len(left))
	}
}

func TestTwoProcessesAgreeOnTheKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	macs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range macs {
		wg.Go(func() {
			k, _, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			macs[i] = string(k.MAC(Person, nil))
		})
	}
	wg.Wait()
	for _, m := range macs {
		if m != macs[0] {
			t.Fatal("two different keys")
		}
	}
}

func TestKeysFileRefused(t *testing.T) {
	t.Parallel()
	key := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for name, text := range map[string]string{
		"empty":       "# nothing\n",
		"no number":   key + "\n",
		"number zero": "0 " + key + "\n",
		"too many":    "65536 " + key + "\n",
		"not base64":  "1 secret!\n",
		"short":       "1 AAEC\n",
		"twice":       "1 " + key + "\n1 " + key + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := LoadOrCreate(path)
			if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret!") {
				t.Fatalf("error: %v", err)
			}
		})
	}
}

func BenchmarkSum64(b *testing.B) {
	k, data := Random().Digest(), make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		k.Sum64(1, data)
	}
}
