// Package party says who is speaking: the identity chains of parties, their
// officers' cards, and the words and digits by which people make sure that they
// talk to each other and to nobody in between.
//
// An identity is a chain of signed documents. The hash of the first one is the
// party's permanent id. Each further version is signed by the keys before it and
// its own, or by a quorum of recovery keys and its own.
//
// It promises that a thief of all current keys cannot lock the owner out:
// recovery keys change only with the signatures of the old quorum, and Resolve
// lets a version that the quorum signed outrank any that it did not, in whatever
// order they arrived. It promises that a middleman in a pairing has one guess,
// made before he can see whether it is right.
//
// It refuses documents with signatures missing or added, names that could
// deceive the eye, and everything over its limits. It reads no clock and trusts
// no authority: that the first version is really that of the party, only people
// who compare the code of a pairing can know.
package party

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"entente/envelope"
)

// ID is the hash of the payload of the first identity document of a party; it never changes.
type ID = envelope.Hash

// PayloadType is the DSSE payload type of an identity document.
const PayloadType = "application/vnd.entente.identity+json"

// Limits of an identity document.
const (
	MaxPayload      = 128 << 10 // bytes of an encoded identity document, without signatures
	MaxNames        = 8         // languages
	MaxName         = 200       // bytes of a name or an authority
	MaxSuites       = 4
	MaxRecoveryKeys = 16
	MaxTransport    = 4 << 10 // bytes of a transport key
	MaxVersions     = 1000    // versions in a chain
)

const (
	ed25519KeySize = 32
	mldsa44KeySize = 1312
)

var languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$`)

// Recovery is the quorum that can take an identity back: Need distinct keys out of Keys must sign.
// Each key is a signature key of a scheme that the verifier knows.
type Recovery struct {
	Need int                  `json:"need"`
	Keys []envelope.PublicKey `json:"keys"`
}

// Equal says whether both name the same quorum, in the same order.
func (r Recovery) Equal(o Recovery) bool {
	return r.Need == o.Need && slices.EqualFunc(r.Keys, o.Keys, envelope.PublicKey.Equal)
}

// NoteKeys are the keys of a log or a witness: Ed25519 (32 bytes) and ML-DSA-44 (1,312 bytes).
type NoteKeys struct {
	Ed25519 []byte `json:"ed25519"`
	MLDSA44 []byte `json:"mldsa44"`
}

// Identity is one version of a party's identity (payload of a DSSE envelope).
type Identity struct {
	V               int                  `json:"v"` // 1
	Version         int                  `json:"version"`
	Prev            *envelope.Hash       `json:"prev,omitzero"` // hash of the payload before; absent in version 1
	Names           map[string]string    `json:"names"`         // by language tag; at least "en"
	Authority       string               `json:"authority"`
	KeyStorage      string               `json:"key_storage"` // software | tpm | hsm
	Suites          []envelope.SuiteKeys `json:"suites"`
	Transport       []byte               `json:"transport"` // SubjectPublicKeyInfo (DER) of the TLS key
	Log             NoteKeys             `json:"log"`
	Witness         NoteKeys             `json:"witness"`
	Recovery        Recovery             `json:"recovery"`
	NotBefore       int64                `json:"not_before"` // UTC microseconds
	NotAfter        int64                `json:"not_after"`  // UTC microseconds; the first instant at which it is no longer valid
	CompromiseSince *int64               `json:"compromise_since,omitzero"`
}

// KeySet is all signature keys of all suites: every one must sign.
func (i *Identity) KeySet() envelope.KeySet {
	set := envelope.KeySet{Name: fmt.Sprintf("identity version %d", i.Version)}
	for _, s := range i.Suites {
		set.Keys = append(set.Keys, s.Sign...)
	}
	return set
}

// ValidAt says whether at (UTC microseconds) lies within the identity's validity.
func (i *Identity) ValidAt(at int64) bool { return i.NotBefore <= at && at < i.NotAfter }

// Suspect says whether the party has declared that keys used at the given time (UTC microseconds) may have been in
// other hands. It is for people to see beside a statement; it must never decide a fold, a clock or a report.
func (i *Identity) Suspect(at int64) bool {
	return i.CompromiseSince != nil && at >= *i.CompromiseSince
}

// Validate checks the document by itself: limits, names, keys against the suites and schemes that r knows. Whether it
// may follow another version is for Verify to say. Errors are *envelope.FormatError.
func (i *Identity) Validate(r envelope.Registry) error {
	if err := i.check(); err != nil {
		return err
	}
	for n, s := range i.Suites {
		if err := r.Check(s); err != nil {
			return &envelope.FormatError{What: "keys of suite " + s.Suite, Where: fmt.Sprintf("/suites/%d", n), Err: err}
		}
	}
	for n, k := range i.Recovery.Keys {
		if err := checkKey(r, k, fmt.Sprintf("/recovery/keys/%d", n)); err != nil {
			return err
		}
	}
	return nil
}

// check is all of Validate that needs no registry.
func (i *Identity) check() error {
	if i.V != 1 {
		return malformed("/v", "format %d is not known", i.V)
	}
	if i.Version < 1 || i.Version > MaxVersions {
		return malformed("/version", "version %d is not between 1 and %d", i.Version, MaxVersions)
	}
	if (i.Version == 1) != (i.Prev == nil) {
		return malformed("/prev", "every version but the first names the one before, and only these")
	}
	if err := i.checkNames(); err != nil {
		return err
	}
	switch i.KeyStorage {
	case "software", "tpm", "hsm":
	default:
		return malformed("/key_storage", "%q is not a way of keeping keys", i.KeyStorage)
	}
	if err := i.checkKeys(); err != nil {
		return err
	}
	return i.checkTimes()
}

func (i *Identity) checkNames() error {
	if len(i.Names) > MaxNames {
		return malformed("/names", "%d languages, at most %d are allowed", len(i.Names), MaxNames)
	}
	if i.Names["en"] == "" {
		return malformed("/names/en", "the English name is missing")
	}
	folded := make(map[string]bool, len(i.Names))
	for tag, name := range i.Names {
		if !languagePattern.MatchString(tag) || folded[strings.ToLower(tag)] {
			return malformed("/names", "%q is not a language tag, or stands twice", tag)
		}
		folded[strings.ToLower(tag)] = true
		if err := checkName(name, "/names/"+tag); err != nil {
			return err
		}
	}
	return checkName(i.Authority, "/authority")
}

func (i *Identity) checkKeys() error {
	if len(i.Suites) < 1 || len(i.Suites) > MaxSuites {
		return malformed("/suites", "%d suites, 1 to %d are allowed", len(i.Suites), MaxSuites)
	}
	for n, s := range i.Suites {
		if slices.ContainsFunc(i.Suites[:n], func(o envelope.SuiteKeys) bool { return o.Suite == s.Suite }) {
			return malformed("/suites", "suite %q stands twice", s.Suite)
		}
	}
	if len(i.Transport) > MaxTransport {
		return malformed("/transport", "%d bytes, at most %d are allowed", len(i.Transport), MaxTransport)
	}
	if _, err := x509.ParsePKIXPublicKey(i.Transport); err != nil {
		return &envelope.FormatError{What: "not a SubjectPublicKeyInfo in DER", Where: "/transport", Err: err}
	}
	if err := i.Log.check("/log"); err != nil {
		return err
	}
	if err := i.Witness.check("/witness"); err != nil {
		return err
	}
	if len(i.Recovery.Keys) < 1 || len(i.Recovery.Keys) > MaxRecoveryKeys {
		return malformed("/recovery/keys", "%d keys, 1 to %d are allowed", len(i.Recovery.Keys), MaxRecoveryKeys)
	}
	if i.Recovery.Need < 1 || i.Recovery.Need > len(i.Recovery.Keys) {
		return malformed("/recovery/need", "%d of %d keys cannot be a quorum", i.Recovery.Need, len(i.Recovery.Keys))
	}
	// A key in two places would let one signature count for two, and a thief of the current keys sign as the quorum.
	seen := make(map[string]bool)
	for _, k := range slices.Concat(i.KeySet().Keys, i.Recovery.Keys) {
		if seen[k.KeyID()] {
			return malformed("", "key %s stands in two places", k.KeyID())
		}
		seen[k.KeyID()] = true
	}
	return nil
}

func (i *Identity) checkTimes() error {
	if i.NotBefore <= 0 || i.NotAfter <= i.NotBefore {
		return malformed("/not_after", "the validity ends before it begins, or has no beginning")
	}
	if since := i.CompromiseSince; since != nil {
		if i.Version == 1 {
			return malformed("/compromise_since", "there were no keys before the first version")
		}
		if *since <= 0 || *since > i.NotBefore {
			return malformed("/compromise_since", "the compromise is not before the version that declares it")
		}
	}
	return nil
}

func (k NoteKeys) check(where string) error {
	if len(k.Ed25519) != ed25519KeySize {
		return malformed(where+"/ed25519", "%d bytes where a key has %d", len(k.Ed25519), ed25519KeySize)
	}
	if len(k.MLDSA44) != mldsa44KeySize {
		return malformed(where+"/mldsa44", "%d bytes where a key has %d", len(k.MLDSA44), mldsa44KeySize)
	}
	return nil
}

// checkKey refuses a key whose scheme r does not know, or whose size is not its scheme's.
func checkKey(r envelope.Registry, k envelope.PublicKey, where string) error {
	scheme, ok := r.Scheme(k.Alg)
	if !ok {
		return malformed(where+"/alg", "unknown algorithm %q", k.Alg)
	}
	if len(k.Key) != scheme.PublicKeySize {
		return malformed(where+"/key", "%d bytes where a key has %d", len(k.Key), scheme.PublicKeySize)
	}
	return nil
}

// checkName refuses a name that is empty, too long, or holds what people cannot see: control and format characters,
// the bidirectional ones among them, which can make one name look like another (Unicode TR 36, TR 55). The joiners
// U+200C and U+200D stay allowed inside a name, since Persian and Indic names are written with them.
func checkName(s, where string) error {
	if s == "" || len(s) > MaxName {
		return malformed(where, "%d bytes, 1 to %d are allowed", len(s), MaxName)
	}
	if !utf8.ValidString(s) {
		return malformed(where, "not UTF-8")
	}
	if strings.TrimFunc(s, invisible) != s {
		return malformed(where, "begins or ends with a space or a character that cannot be seen")
	}
	for _, c := range s {
		joiner := c == '\u200c' || c == '\u200d'
		if !joiner && c != ' ' && invisible(c) {
			return malformed(where, "holds %U, which cannot be seen", c)
		}
	}
	return nil
}

func invisible(c rune) bool {
	return unicode.IsSpace(c) || unicode.In(c, unicode.C, unicode.Zs, unicode.Zl, unicode.Zp) || c == unicode.ReplacementChar
}

// decodeIdentity decodes and checks a payload without a registry.
func decodeIdentity(payload []byte) (*Identity, error) {
	if len(payload) > MaxPayload {
		return nil, malformed("", "identity document of %d bytes, at most %d are allowed", len(payload), MaxPayload)
	}
	i := new(Identity)
	if err := envelope.Unmarshal(payload, i); err != nil {
		return nil, err
	}
	if err := i.check(); err != nil {
		return nil, err
	}
	return i, nil
}

func malformed(where, format string, args ...any) error {
	return &envelope.FormatError{What: fmt.Sprintf(format, args...), Where: where}
}
