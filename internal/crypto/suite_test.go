package crypto

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStandardsKnownAnswers: the algorithms are those of the standards (R110).
func TestStandardsKnownAnswers_R110(t *testing.T) {
	t.Parallel()
	// GB/T 32905-2016, appendix A.1
	if got := sm3.Sum([]byte("abc")); hex.EncodeToString(got[:]) != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Errorf("SM3: %x", got)
	}
	// GB/T 32907-2016, appendix A.1
	block, err := sm4.NewCipher(unhex(t, "0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 16)
	block.Encrypt(out, unhex(t, "0123456789abcdeffedcba9876543210"))
	if hex.EncodeToString(out) != "681edf34d206965e86b3e94f536e4246" {
		t.Errorf("SM4: %x", out)
	}
	// RFC 8998, appendix A.1
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := gcm.Seal(nil, unhex(t, "00001234567800000000ABCD"), unhex(t, "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDDEEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"),
		unhex(t, "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2"))
	if want := "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"; hex.EncodeToString(sealed) != want {
		t.Errorf("SM4-GCM: %x", sealed)
	}
	// HMAC-SM3 over the construction of RFC 2104: computed with another implementation.
	m := hmac.New(sm3.New, unhex(t, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"))
	m.Write([]byte("Hi There"))
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i := range 20 {
		inner[i] ^= 0x0b
		outer[i] ^= 0x0b
	}
	first := sm3.Sum(append(inner, "Hi There"...))
	want := sm3.Sum(append(outer, first[:]...))
	if !bytes.Equal(m.Sum(nil), want[:]) {
		t.Errorf("HMAC-SM3: %x", m.Sum(nil))
	}
	// GB/T 32918.5-2017, appendix A.2: the key pair and the signature of "message digest".
	key, err := sm2.NewPrivateKey(unhex(t, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"))
	if err != nil {
		t.Fatal(err)
	}
	public := sm2Signer{key}.Public()
	if hex.EncodeToString(public.Key) != "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13" {
		t.Errorf("SM2 public key: %x", public.Key)
	}
	signature := unhex(t, "3046022100F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3022100B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
	if !public.Verify([]byte("message digest"), signature) {
		t.Error("SM2: the signature of the standard does not verify")
	}
	if public.Verify([]byte("message digesT"), signature) {
		t.Error("SM2: a signature of something else verifies")
	}
}

func keysOf(t *testing.T, roots map[uint16]root) *Keys {
	t.Helper()
	k, err := newKeys(roots)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSuitesLiveSideBySide: a site changes its suite, and opens, compares and verifies what it had (R110).
func TestSuitesLiveSideBySide_R110(t *testing.T) {
	t.Parallel()
	one, two := randomRoot(), randomRoot()
	for _, c := range []struct{ from, to Suite }{{International, SM}, {SM, International}, {SM, SM}} {
		before, after := keysOf(t, map[uint16]root{1: {one, c.from}}), keysOf(t, map[uint16]root{1: {one, c.from}, 2: {two, c.to}})
		old, err := before.Seal(Person, "row", []byte("天门"))
		if err != nil || old[0] != c.from.algorithm() {
			t.Fatalf("%v: %x, %v", c, old, err)
		}
		if got, err := after.Open(Person, "row", old); err != nil || string(got) != "天门" {
			t.Errorf("%v: what was sealed before: %q, %v", c, got, err)
		}
		fresh, err := after.Seal(Person, "row", []byte("天门"))
		if err != nil || fresh[0] != c.to.algorithm() || bytes.Contains(fresh, []byte("天门")) {
			t.Errorf("%v: sealed now with %d, %v", c, fresh[0], err)
		}
		for i := range fresh {
			broken := bytes.Clone(fresh)
			broken[i] ^= 1
			if _, err := after.Open(Person, "row", broken); !errors.Is(err, ErrEnvelope) {
				t.Errorf("%v: a bit turned at %d: %v", c, i, err)
			}
			if _, err := after.Open(Person, "row", fresh[:i]); !errors.Is(err, ErrEnvelope) {
				t.Errorf("%v: cut at %d: %v", c, i, err)
			}
		}
		if !bytes.Equal(before.MAC(DeviceSecret, []byte("x")), after.MAC(DeviceSecret, []byte("x"))) || before.Digest().Sum64(1, []byte("x")) != after.Digest().Sum64(1, []byte("x")) {
			t.Errorf("%v: digests changed", c)
		}
		said, err := before.Signer(AuditSeal).Sign([]byte("seal"))
		if err != nil {
			t.Fatal(err)
		}
		verified := 0
		for _, p := range after.Publics(AuditSeal) {
			again, err := ParsePublic(p.String())
			if err != nil || again.String() != p.String() {
				t.Errorf("%v: %s, %v", c, p, err)
			}
			if again.Verify([]byte("seal"), said) {
				verified++
			}
		}
		if verified != 1 {
			t.Errorf("%v: %d keys verify what was signed before", c, verified)
		}
		if got := after.Signer(AuditSeal).Public().Algorithm; (got == SM3SM2) != (c.to == SM) {
			t.Errorf("%v: signs with %s", c, got)
		}
		if c.from == c.to && before.Signer(AuditSeal).Public().String() != after.Signer(AuditSeal).Public().String() {
			t.Error("another key of the same suite changed who signs")
		}
	}
	for _, bad := range []string{"", "zz", "sm3+sm2:00", "sha256+ed25519:00", "md5:00"} {
		if _, err := ParsePublic(bad); err == nil {
			t.Errorf("%q is a public key", bad)
		}
	}
}

func TestRootOfAnotherSuiteIsAdded_R110(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	before, _, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := before.Seal(Person, "", []byte("x"))
	if n, err := AddRoot(path, SM); err != nil || n != 2 {
		t.Fatalf("key %d, %v", n, err)
	}
	after, err := Load(path)
	if err != nil || after.roots[2].suite != SM {
		t.Fatal(err)
	}
	if got, err := after.Open(Person, "", old); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := AddRoot(path, "rot13"); err == nil {
		t.Error("any suite will do")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Error("others may read it")
	}
	made := filepath.Join(t.TempDir(), "keys")
	if k, _, err := LoadOrCreateOf(made, SM); err != nil || k.roots[1].suite != SM {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	one, _ := newKeys(map[uint16]root{1: {make([]byte, rootSize), International}, 2: {make([]byte, rootSize), SM}})
	sealed, _ := one.Seal(Person, "row", []byte("plain"))
	f.Add(sealed)
	f.Add([]byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, envelope []byte) {
		if got, err := one.Open(Person, "row", envelope); err == nil && !bytes.Equal(envelope, sealed) {
			t.Errorf("%x opens as %q", envelope, got)
		}
	})
}
