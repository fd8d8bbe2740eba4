package peer

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"time"

	"entente/party"
)

// Overlap is how long the transport key of the identity version before the latest is still accepted.
const Overlap = 30 * 24 * time.Hour

// errPin is what a handshake fails with when the other end holds none of the pinned keys.
var errPin = errors.New("the other end's key is not that of its identity")

// Pins are the transport keys (SubjectPublicKeyInfo, DER) that a party may use at the time now: that of its latest
// identity and, until the overlap ends, that of the one before. A version whose successor says that its keys are
// compromised ends at once.
func Pins(chain *party.Chain, now time.Time) [][]byte {
	latest := chain.Latest()
	pins := [][]byte{latest.Transport}
	if n := len(chain.Versions); n > 1 && latest.CompromiseSince == nil &&
		now.Before(time.UnixMicro(latest.NotBefore).Add(Overlap)) {
		pins = append(pins, chain.Versions[n-2].Transport)
	}
	return pins
}

// pinned says, in constant time, whether key is one of the pins; an empty key never is.
func pinned(pins [][]byte, key []byte) bool {
	found := 0
	for _, pin := range pins {
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

// serverTLS asks every client for a certificate; the handshake proves that it holds the key, and each request is
// judged by that key. Nothing else in a certificate is read. The key exchange is left to the standard library, whose
// first choice is X25519MLKEM768.
func serverTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
	}
}

// clientTLS accepts a server by its pinned key alone, so names and authorities play no part.
func clientTLS(cert tls.Certificate, pins [][]byte) *tls.Config {
	return &tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
		MinVersion:           tls.VersionTLS13,
		NextProtos:           []string{"h2", "http/1.1"},
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
