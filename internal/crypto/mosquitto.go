package crypto

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"strconv"
)

// mosquittoIterations of PBKDF2: what mosquitto_passwd uses. Secrets of devices are 192 random bits, which no number of iterations makes
// harder to guess; passwords that people choose do not belong into this file.
const mosquittoIterations = 101

// MosquittoHash is a password as Mosquitto's password file keeps it: `$7$`, PBKDF2 with HMAC-SHA-512 and a salt of its own.
func MosquittoHash(password string) string {
	salt := make([]byte, 12)
	rand.Read(salt) // never fails: the runtime ends the program instead
	return mosquittoHash(password, salt, mosquittoIterations)
}

func mosquittoHash(password string, salt []byte, iterations int) string {
	key, err := pbkdf2.Key(sha512.New, password, salt, iterations, sha512.Size)
	if err != nil { // only of lengths that these are not
		panic(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return "$7$" + strconv.Itoa(iterations) + "$" + b64(salt) + "$" + b64(key)
}
