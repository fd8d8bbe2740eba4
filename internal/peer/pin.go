package peer

import (
	"cmp"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"entente/internal/flow"
)

// errPin is what a handshake fails with when the other end holds none of the pinned keys.
var errPin = errors.New("the other end's key is not that of its identity")

// Pinned is by what the other end of a connection is known.
type Pinned struct {
	Version int      // newest version of its identity that is known here
	Keys    [][]byte // transport keys (SubjectPublicKeyInfo, DER) that it may use now
}

// Pins are the transport keys that a party may use at the time now: that of its latest identity and, until the overlap ends,
// that of the one before. A version whose successor says that its keys are compromised ends at once.
func Pins(t flow.Transport, now time.Time) Pinned {
	pins := Pinned{t.Version, [][]byte{t.Key}}
	if t.Former != nil && now.UnixMicro() < t.Until {
		pins.Keys = append(pins.Keys, t.Former)
	}
	return pins
}

func (p Pinned) equal(o Pinned) bool {
	return p.Version == o.Version && slices.EqualFunc(p.Keys, o.Keys, func(a, b []byte) bool { return string(a) == string(b) })
}

// pinned says, in constant time, whether key is one of the pins; an empty key never is.
func pinned(pins Pinned, key []byte) bool {
	found := 0
	for _, pin := range pins.Keys {
		found |= subtle.ConstantTimeCompare(pin, key)
	}
	return found == 1 && len(key) > 0
}

// transportKey is the key that the other end of a connection proved to hold.
func transportKey(c *tls.ConnectionState) []byte {
	if c == nil || len(c.PeerCertificates) == 0 {
		return nil
	}
	return c.PeerCertificates[0].RawSubjectPublicKeyInfo
}

// Certs are our certificates by identity version: that in force, and those before whose keys are still held.
type Certs func() map[int]tls.Certificate

// newestFirst lists the versions of certificates.
func newestFirst(certs map[int]tls.Certificate) []int {
	var versions []int
	for n := range certs {
		versions = append(versions, n)
	}
	slices.SortFunc(versions, func(a, b int) int { return cmp.Compare(b, a) })
	return versions
}

// A client says by an application protocol that is never chosen which version of the server's identity it knows, so that a
// server whose identity changed can show each peer a key that the peer can know. The number tells an observer nothing of who
// they are.
const knownVersion = "entente-identity/"

// serverTLS asks every client for a certificate; the handshake proves that it holds the key, and each request is
// judged by that key. Nothing else in a certificate is read. The key exchange is left to the standard library, whose
// first choice is X25519MLKEM768.
func serverTLS(certs Certs) *tls.Config {
	return &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			held := certs()
			for _, protocol := range hello.SupportedProtos {
				digits, ok := strings.CutPrefix(protocol, knownVersion)
				if n, err := strconv.Atoi(digits); ok && err == nil {
					if cert, ok := held[n]; ok {
						return &cert, nil
					}
				}
			}
			versions := newestFirst(held)
			if len(versions) == 0 {
				return nil, errors.New("no transport key is held")
			}
			cert := held[versions[0]]
			return &cert, nil
		},
		ClientAuth:             tls.RequireAnyClientCert,
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
	}
}

// clientTLS accepts a server by its pinned key alone, so names and authorities play no part.
func clientTLS(cert tls.Certificate, pins Pinned) *tls.Config {
	return &tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
		MinVersion:           tls.VersionTLS13,
		NextProtos:           []string{"h2", "http/1.1", fmt.Sprintf("%s%d", knownVersion, pins.Version)},
		InsecureSkipVerify:   true, // VerifyConnection decides
		VerifyConnection: func(c tls.ConnectionState) error {
			if !pinned(pins, transportKey(&c)) {
				return errPin
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}
}
