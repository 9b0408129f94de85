package console

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"image/png"
	"net/http"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"zhijiao/internal/crypto"
)

// Second factors: a time-based code (RFC 6238; SHA-1, six digits, thirty seconds, what every authenticator knows), or a client certificate,
// whose key may be in a UKey.

const (
	factorPassword    = "password"
	factorTOTP        = "totp"
	factorCertificate = "certificate"
	factorSSO         = "single_sign_on"

	totpPeriod = 30
	totpSkew   = 1 // periods by which a clock may be off
)

var totpOptions = totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// newTOTP is a secret for an account, and how an authenticator reads it.
func newTOTP(account string) (*otp.Key, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "智矫", AccountName: account, Period: totpPeriod, SecretSize: 20, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return nil, fmt.Errorf("make a TOTP secret: %w", err)
	}
	return key, nil
}

// totpStep is the step a code belongs to; 0: to none that counts. A step up to last was used, and is good no more (ASVS 6.5.1).
func totpStep(secret, code string, now time.Time, last int64) int64 {
	var found int64
	for d := int64(-totpSkew); d <= totpSkew; d++ {
		step := now.Unix()/totpPeriod + d
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*totpPeriod, 0), totpOptions)
		if err == nil && step > last && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found
}

// picture is a QR code of a key, as an address an image may have.
func picture(key *otp.Key) (string, error) {
	img, err := key.Image(240, 240)
	if err != nil {
		return "", fmt.Errorf("draw the QR code: %w", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return "", fmt.Errorf("draw the QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// certificateKey is the digest of the key of the client certificate a connection proved; nil: none.
func certificateKey(r *http.Request) []byte {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	sum := sha256.Sum256(r.TLS.VerifiedChains[0][0].RawSubjectPublicKeyInfo)
	return sum[:]
}

// sealTOTP and openTOTP keep secrets of accounts. What was offered and not confirmed opens as an offer alone.
func (s *Server) sealTOTP(context, secret string) ([]byte, error) {
	return s.Keys.Seal(crypto.SecondFactor, context, []byte(secret))
}

func (s *Server) openTOTP(context string, envelope []byte) (string, error) {
	secret, err := s.Keys.Open(crypto.SecondFactor, context, envelope)
	return string(secret), err
}

func (a *account) totpContext() string  { return fmt.Sprintf("account/%d/totp", a.ID) }
func (a *account) offerContext() string { return fmt.Sprintf("account/%d/totp offer", a.ID) }
