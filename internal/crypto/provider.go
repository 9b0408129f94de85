package crypto

// Purpose separates keys: what one purpose sealed or authenticated, another cannot open or confirm.
type Purpose string

const (
	Person            Purpose = "person"             // fields of subject_person
	Quarantine        Purpose = "quarantine"         // raw payloads that were refused
	DeviceSecret      Purpose = "device_secret"      // what a device connects with
	ObservationDigest Purpose = "observation_digest" // whether an observation was heard before, with the same content
	SessionToken      Purpose = "session_token"      // sessions of people
	AuditSeal         Purpose = "audit_seal"         // what seals the ledger
	Evidence          Purpose = "evidence"           // what signs packages of evidence
	Search            Purpose = "search"             // by which a person is found
	SecondFactor      Purpose = "second_factor"      // TOTP secrets of accounts
)

// Provider is everything the program does with keys.
type Provider interface {
	// Seal encrypts plaintext into an envelope that only opens for the same purpose and context. The context says where
	// it belongs ("subject_person:17:name"), so that an envelope moved to another row does not open there.
	Seal(p Purpose, context string, plaintext []byte) ([]byte, error)
	// Open returns what was sealed, or ErrEnvelope.
	Open(p Purpose, context string, envelope []byte) ([]byte, error)
	// MAC is the 32 byte keyed digest of data. It does not change when a key is added.
	MAC(p Purpose, data []byte) []byte
	// Signer is the key with which a purpose signs now.
	Signer(p Purpose) Signer
	// Digest returns the key of observation digests.
	Digest() *DigestKey
}

// DeviceMAC is the keyed digest under which the registry keeps the secrets of devices. They are random, so they need no
// slow hash.
func DeviceMAC(p Provider) func(secret []byte) []byte {
	return func(secret []byte) []byte { return p.MAC(DeviceSecret, secret) }
}
