package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"
)

// certificate makes the TLS certificate and SubjectPublicKeyInfo of a P-256 key from its 32-byte scalar. It is
// made of the key alone (serial number 1, a signature by RFC 6979), so every start presents the same bytes.
func certificate(scalar []byte) (tls.Certificate, []byte, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("making the transport key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "entente"},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no well-defined end
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("making the transport certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("reading the transport certificate back: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: transportSigner{hide(key)}, Leaf: leaf}, leaf.RawSubjectPublicKeyInfo, nil
}

// transportSigner lends the transport key to TLS: it signs, and the key cannot be taken out of it.
type transportSigner struct{ key hidden[*ecdsa.PrivateKey] }

func (t transportSigner) Public() crypto.PublicKey { return t.key().Public() }
func (t transportSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return t.key().Sign(random, digest, opts)
}
