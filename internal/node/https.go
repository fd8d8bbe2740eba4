package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
)

// The API over HTTPS is for members: each call shows a token. It is a door of its own beside the socket and the peers' one, with a
// certificate that is given, or made here and known by its fingerprint.

const (
	madeCertificate = "api.pem"                 // in the data directory: certificate and key, if none is given
	madeFor         = 10 * 365 * 24 * time.Hour // what is known by its fingerprint need not end soon
	maxRemote       = 256                       // connections at a time
	maxFailures     = 10                        // refused tokens of one address
	failureWindow   = time.Minute               // in this time
	maxAddresses    = 4096                      // of which failures are counted one by one
)

// certificate loads the certificate of the HTTPS door, or makes one.
func (c Config) certificate(now time.Time) (tls.Certificate, error) {
	if c.APICertificate != "" {
		cert, err := tls.LoadX509KeyPair(c.APICertificate, c.APIKey)
		if err != nil {
			return cert, fault.Wrap(fault.Unavailable, "certificate", "The certificate of the API, or its key, cannot be read; look at the settings api_certificate and api_key.", err)
		}
		return cert, nil
	}
	path := filepath.Join(c.Data, madeCertificate)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if data, err = c.makeCertificate(now); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err != nil {
		return tls.Certificate{}, fault.Wrap(fault.Unavailable, "certificate", "The certificate of the API cannot be read or made in "+path+".", err)
	}
	cert, err := tls.X509KeyPair(data, data)
	if err != nil {
		return cert, fault.Wrap(fault.Unavailable, "certificate", "The certificate in "+path+" is damaged; remove it, and another is made.", err)
	}
	return cert, nil
}

// makeCertificate makes a key and a certificate that signs itself.
func (c Config) makeCertificate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "Entente node"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(madeFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{"localhost"}}
	if host, _, err := net.SplitHostPort(c.API); err == nil {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = []net.IP{ip}
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// fingerprintOf is what a client may know a certificate by: the SHA-256 of its encoding.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// remote is the door of the API over HTTPS.
func (n *Node) remote(l net.Listener) (door, error) {
	cert, err := n.cfg.certificate(n.now())
	if err != nil {
		return nil, err
	}
	n.log.Info("the API is open over HTTPS", "api", n.cfg.API, "fingerprint", fingerprintOf(cert.Certificate[0]))
	guard := &guard{now: n.now}
	handler := n.door(func(r *http.Request) (actor.Actor, error) {
		if err := guard.check(r.RemoteAddr); err != nil {
			return actor.Actor{}, err
		}
		who, err := n.bearer(r)
		if fault.KindOf(err) == fault.Forbidden {
			guard.failed(r.RemoteAddr)
		}
		return who, err
	})
	secure := tls.NewListener(&limited{Listener: l, places: make(chan struct{}, maxRemote)}, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
	return n.serveHTTP(secure, handler), nil
}

// limited takes no more connections at a time than it has places.
type limited struct {
	net.Listener
	places chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	p.leave()
	return p.Conn.Close()
}

// guard counts refused tokens by address, so that nobody tries many.
type guard struct {
	now func() time.Time

	mu    sync.Mutex
	tries map[netip.Prefix]*tries
}

type tries struct {
	began time.Time
	n     int
}

// key is the address, of IPv6 the network that one customer has. What is beyond the number of addresses that are counted shares
// one count.
func (g *guard) key(address string) netip.Prefix {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip := ap.Addr().Unmap(); !ip.Is4() {
		bits = 64
	}
	p, err := ap.Addr().Unmap().Prefix(bits)
	if _, known := g.tries[p]; err != nil || !known && len(g.tries) >= maxAddresses {
		return netip.Prefix{}
	}
	return p
}

// check refuses an address of which too many tokens were refused lately.
func (g *guard) check(address string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tries[g.key(address)]
	if t == nil || t.n < maxFailures || g.now().Sub(t.began) >= failureWindow {
		return nil
	}
	return fault.New(fault.Exhausted, "refusals", "Too many tokens from your address were refused; wait a minute.")
}

func (g *guard) failed(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.tries == nil {
		g.tries = map[netip.Prefix]*tries{}
	}
	if len(g.tries) >= maxAddresses {
		for k, t := range g.tries {
			if now.Sub(t.began) >= failureWindow {
				delete(g.tries, k)
			}
		}
	}
	k := g.key(address)
	t := g.tries[k]
	if t == nil || now.Sub(t.began) >= failureWindow {
		t = &tries{began: now}
		g.tries[k] = t
	}
	t.n++
}

// DialRemote makes a client for a node's API over HTTPS, at host:port. A fingerprint names the one certificate that is trusted; without
// one, it must be one that this machine trusts.
func DialRemote(address, fingerprint string) (*Client, error) {
	if err := checkAddress(address); err != nil || address == "" {
		return nil, fault.New(fault.Invalid, "node", "Name the node as host:port, such as entente.example:8443.")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if fingerprint != "" {
		config.InsecureSkipVerify = true // by a chain, which there is none of: the certificate itself is compared
		config.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || fingerprintOf(s.PeerCertificates[0].Raw) != fingerprint {
				return errors.New("the certificate has another fingerprint")
			}
			return nil
		}
	}
	dialer := &tls.Dialer{Config: config}
	return &Client{remote: address, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, fault.Wrap(fault.Unavailable, "node_away", fmt.Sprintf("The node at %s cannot be reached, or its certificate is not the one that is trusted.", address), err)
			}
			return conn, nil
		},
		DisableCompression: true, MaxIdleConnsPerHost: maxIdle,
	}}}, nil
}
