package notice

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"entente/internal/fault"
)

// Limits.
const (
	MaxHooks   = 20
	MaxWaiting = 10_000 // deliveries of one webhook that wait; beyond them the oldest are given up
	MaxEnded   = 10_000 // of one webhook that are kept once they ended
	KeptFor    = 30 * 24 * time.Hour
	maxURL     = 2048
	maxCA      = 64 << 10 // bytes of PEM
	maxNote    = 200
)

// Hook is a receiver of ours that an operator has named.
type Hook struct {
	ID      string
	URL     string
	Types   []string // which events it is told of; none: all
	Private bool     // it may stand at a private or a loopback address
	CA      []byte   // certificates that vouch for it, as PEM; nil: those of the system
	Note    string   // what it is for
	Created int64

	Secret      []byte // sealed under the keyring, as is the one before
	Former      []byte // it signs too, until
	FormerUntil int64

	Failures int    // in a row
	Failing  int64  // since when nothing came through; 0 if something does
	Next     int64  // it is not tried before
	Code     string // of what went wrong last; "" while all is well
	Disabled int64  // since when it is told nothing; 0 if it is told
	Why      string // it was disabled: gone or failing
}

// Why a webhook was disabled.
const (
	Gone    = "gone"    // the receiver answered 410: it wants no more
	Failing = "failing" // nothing came through for days
)

// Check refuses a webhook that cannot be.
func (h Hook) Check() error {
	if err := CheckURL(h.URL, h.Private); err != nil {
		return err
	}
	for i, t := range h.Types {
		if !slices.Contains(Types(), t) || slices.Contains(h.Types[:i], t) {
			return fault.New(fault.Invalid, "webhook_types", fmt.Sprintf("There is no event %.40q, or it is named twice; \"entente webhooks add --help\" lists them.", t))
		}
	}
	if len(h.CA) > maxCA || len(h.CA) > 0 && !x509.NewCertPool().AppendCertsFromPEM(h.CA) {
		return fault.New(fault.Invalid, "webhook_ca", fmt.Sprintf("The file must hold certificates as PEM, and %d KiB at most.", maxCA>>10))
	}
	if len(h.Note) > maxNote {
		return fault.New(fault.TooLarge, "note", fmt.Sprintf("The note may have %d bytes at most.", maxNote))
	}
	return nil
}

// NewID is an id for another webhook.
func NewID() string {
	id := make([]byte, idBytes)
	rand.Read(id)
	return hex.EncodeToString(id)
}

const idBytes = 6

// ParseID refuses what cannot be the id of a webhook.
func ParseID(s string) error {
	if id, err := hex.DecodeString(s); err != nil || len(id) != idBytes {
		return NoHook()
	}
	return nil
}

// NoHook is what is answered about a webhook that is not there.
func NoHook() error {
	return fault.New(fault.NotFound, "webhook", "There is no such webhook; \"entente webhooks list\" lists them.")
}

// CheckURL refuses an address that nothing is posted to. Where a name leads to is only known when it is called: CheckAddress
// decides again then.
func CheckURL(text string, private bool) error {
	refuse := func(what string) error { return fault.New(fault.Invalid, "webhook_url", what) }
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Hostname() == "" || u.Opaque != "":
		return refuse(fmt.Sprintf("Give the receiver's URL, such as https://cases.example/hook, of %d bytes at most.", maxURL))
	case u.Scheme != "https":
		return refuse("The URL of a receiver begins with https://: a notice is for nobody else's eyes.")
	case u.User != nil || u.Fragment != "":
		return refuse("The URL of a receiver holds neither a user nor a fragment; it knows us by the signature.")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return refuse("The port of the URL must be a number from 1 to 65535.")
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return CheckAddress(ip, private)
	}
	if host := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")); !private && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return privateAddress()
	}
	return nil
}

// CheckAddress refuses the address of a machine that nothing is posted to: never one that names no single machine or only the
// neighbourhood, where the services of a cloud answer; and a private or a loopback one only if the operator said that it may be.
func CheckAddress(ip netip.Addr, private bool) error {
	ip = ip.Unmap().WithZone("")
	if ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || within(ip, "0.0.0.0/8", "240.0.0.0/4") {
		return fault.New(fault.Invalid, "webhook_address", "Nothing is posted to this address; name the receiver's own.")
	}
	if !private && (ip.IsLoopback() || ip.IsPrivate() || within(ip, reserved()...)) {
		return privateAddress()
	}
	return nil
}

func privateAddress() error {
	return fault.New(fault.Invalid, "webhook_private", "This is the address of a private network or of this machine; if the receiver stands there, say so with --private.")
}

// reserved are blocks that are not private by name and lead inside nevertheless (RFC 6890): shared addresses, benchmarks,
// and those in which an IPv4 address is wrapped.
func reserved() []string {
	return []string{"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "fec0::/10"}
}

func within(ip netip.Addr, blocks ...string) bool {
	return slices.ContainsFunc(blocks, func(b string) bool { return netip.MustParsePrefix(b).Contains(ip) })
}

// The signature is that of Standard Webhooks 1.0.0 with a shared secret: HMAC-SHA256 over id, time and body.
const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	// Overlap is how long a secret that was replaced signs beside the new one.
	Overlap = 24 * time.Hour
)

// NewSecret makes a secret, and the text in which it is shown, once.
func NewSecret() (secret []byte, shown string) {
	secret = make([]byte, secretBytes)
	rand.Read(secret)
	return secret, secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// Sign is the signature header: one signature by each secret, with spaces between. at is in seconds.
func Sign(secrets [][]byte, id string, at int64, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%d.", id, at)
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}
