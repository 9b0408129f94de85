package evidence

import (
	"encoding/json"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
)

// Format names the layout of a package; another layout gets another name.
const Format = "zhijiao-evidence/1"

// Names of files in a package. The signature is over the bytes of the manifest, which has the hash of every other file.
const (
	fileManifest    = "manifest.json"
	fileSignature   = "manifest.sig"
	fileViolation   = "violation.json"
	fileFixes       = "fixes.jsonl"
	fileRule        = "rule.json"
	fileZone        = "zone.json"
	fileDecisions   = "decisions.json"
	fileAlerts      = "alerts.json"
	fileExplanation = "explanation.json"
	fileLedger      = "ledger.jsonl"
	fileReport      = "report.pdf"
)

// Manifest is what a package says of itself.
type Manifest struct {
	Format    string             `json:"format"`
	Violation int64              `json:"violation_id"`
	Subject   string             `json:"subject"` // masked: 李某某·岳口·0417
	Office    string             `json:"office"`
	MadeAt    time.Time          `json:"made_at"` // domain time
	MadeBy    string             `json:"made_by"`
	Program   string             `json:"program"`
	Key       crypto.Public      `json:"key"`        // that signed this manifest
	AuditKeys []crypto.Public    `json:"audit_keys"` // that signed the seals of the ledger
	Unsealed  int                `json:"unsealed"`   // rows of the ledger about it that were not sealed yet
	Hash      string             `json:"hash"`       // of files: the hash function of key.algorithm
	Files     map[string]FileSum `json:"files"`
}

// FileSum is the size and the hash of a file.
type FileSum struct {
	Size int    `json:"size"`
	Hash []byte `json:"hash"`
}

// Violation is what the machine found, as it is recorded.
type Violation struct {
	geofence.ViolationBody
	Engine   string          `json:"engine"`
	Evidence json.RawMessage `json:"evidence"` // opened, amended, closed, superseded: geofence.EvidenceHistory
}

// Fix is a fix with what the zone says of it under the thresholds of the rule.
type Fix struct {
	At         time.Time      `json:"at"`
	ReceivedAt time.Time      `json:"received_at"`
	Device     int64          `json:"device_id"`
	Boot       int64          `json:"boot"`
	Seq        int64          `json:"seq"`
	LonE7      int64          `json:"lon_e7"` // WGS-84
	LatE7      int64          `json:"lat_e7"`
	AccuracyM  float64        `json:"accuracy_m,omitempty"`
	SpeedMPS   *float64       `json:"speed_mps,omitempty"`
	Method     devices.Method `json:"method"`
	Flags      int            `json:"flags,omitempty"`
	Battery    *int           `json:"battery,omitempty"`
	Strap      int            `json:"strap,omitempty"`
	Verdict    string         `json:"verdict,omitempty"` // none without a zone
	MarginCM   int64          `json:"margin_cm,omitempty"`
}

func (f *Fix) lon() float64 { return float64(f.LonE7) / 1e7 }
func (f *Fix) lat() float64 { return float64(f.LatE7) / 1e7 }

// judge is what a zone says of a fix.
func judge(p *geofence.Params, z *geofence.Zone, f *Fix) (string, int64) {
	v, margin := p.Judge(z, f.lon(), f.lat(), f.AccuracyM, f.Method)
	return string(v), margin
}

// Package is what goes into the files.
type Package struct {
	Manifest    Manifest
	Violation   Violation
	Fixes       []Fix
	Rule        json.RawMessage // the version it was decided on, and its legal basis
	Zone        *geofence.StoredZone
	ZoneName    string
	Geometry    json.RawMessage // GeoJSON, for people
	Decisions   json.RawMessage // authorities, suspensions, sentence, and what was said of the device
	Alerts      json.RawMessage // with their history, and the checks and their answers
	Explanation []Sentence
	Ledger      []audit.Proof
	report      []byte
}

// Sentence is a line in both languages.
type Sentence struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// thresholds are those it was decided by.
func (v *Violation) thresholds() (geofence.EvidenceHistory, error) {
	var h geofence.EvidenceHistory
	return h, json.Unmarshal(v.Evidence, &h)
}
