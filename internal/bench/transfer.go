package bench

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"entente/internal/fault"
	"entente/internal/node"
)

// Transfer is how fast a file goes from one node to the other. Speeds are in 10^6 bytes of the file per second.
type Transfer struct {
	Machine   Machine `json:"machine"`
	Bytes     int64   `json:"bytes"`
	Delivery  float64 `json:"delivery_mb_s"`   // from the end of sealing until its author has the receipt that all of it is received
	EndToEnd  float64 `json:"end_to_end_mb_s"` // from the call until the file is opened and stored at the addressee
	Plain     float64 `json:"plain_mb_s"`      // the same bytes over HTTPS into a file, with fsync: mean of before and after
	Ratio     float64 `json:"delivery_ratio"`  // of delivery to plain
	All       float64 `json:"end_to_end_ratio"`
	Sealing   float64 `json:"sealing_mb_s"` // until the call returns: taken, sealed for the peer and at rest, durable
	Writing   float64 `json:"writing_mb_s"` // the same bytes copied into a file, with fsync: mean of before and after
	Sealed    float64 `json:"sealing_ratio"`
	Author    int64   `json:"author_peak_bytes"` // most resident memory of its node
	Addressee int64   `json:"addressee_peak_bytes"`
}

// MeasureTransfer sends a file of so many random bytes from one node to another.
func MeasureTransfer(ctx context.Context, o Options, size int64) (Transfer, error) {
	o.Database = "sqlite"
	r := Transfer{Machine: machine(), Bytes: size}
	err := o.within(func(dir string) error {
		file := filepath.Join(dir, "file")
		if err := fill(file, size); err != nil {
			return err
		}
		var plain, writing time.Duration
		floor := func() error {
			for _, m := range []struct {
				sum  *time.Duration
				copy func(context.Context, string) error
			}{{&plain, copyHTTPS}, {&writing, copyFile}} {
				begun := time.Now()
				if err := m.copy(ctx, file); err != nil {
					return fmt.Errorf("copying plainly: %w", err)
				}
				*m.sum += time.Since(begun)
			}
			return nil
		}
		if err := floor(); err != nil {
			return err
		}
		if err := withPair(ctx, o, dir, func(ctx context.Context, p *pair) error { return r.run(ctx, o, p, file) }); err != nil {
			return err
		}
		if err := floor(); err != nil {
			return err
		}
		r.Plain, r.Writing = speed(2*size, plain), speed(2*size, writing)
		r.Ratio, r.All, r.Sealed = r.Delivery/r.Plain, r.EndToEnd/r.Plain, r.Sealing/r.Writing
		return nil
	})
	return r, err
}

func (r *Transfer) run(ctx context.Context, o Options, p *pair, path string) error {
	begun := time.Now()
	said, err := p.evidence(ctx, o, path, r.Bytes)
	if err != nil {
		return err
	}
	r.Sealing = speed(r.Bytes, time.Since(begun))
	sealed := time.Now()
	err = untilDone(ctx, func() (bool, error) {
		m, err := p.arvenia.client.Statement(ctx, said.String())
		if err != nil {
			return false, err
		}
		f := m.Files[0]
		o.progress("delivering", f.Have, f.Segments)
		return f.Progress == "received" || f.Progress == "opened", nil
	})
	if err != nil {
		return err
	}
	r.Delivery = speed(r.Bytes, time.Since(sealed))
	err = untilDone(ctx, func() (bool, error) {
		m, err := p.kestria.client.Statement(ctx, said.String())
		if fault.KindOf(err) == fault.NotFound {
			return false, nil
		}
		if err != nil || len(m.Files) != 1 {
			return false, err
		}
		if m.Files[0].State == "failed" {
			return false, fmt.Errorf("the file failed: %s", m.Files[0].Reason)
		}
		return m.Files[0].State == "stored", nil
	})
	r.EndToEnd = speed(r.Bytes, time.Since(begun))
	r.Author, r.Addressee = peak(p.arvenia.process.Process.Pid), peak(p.kestria.process.Process.Pid)
	return err
}

// upload opens a file to send.
func upload(path string, size int64) (node.Upload, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return node.Upload{}, nil, err
	}
	return node.Upload{Name: "file", Media: "application/octet-stream", Size: size, Content: f}, f.Close, nil
}

func speed(size int64, d time.Duration) float64 { return float64(size) / 1e6 / d.Seconds() }

// fill makes a file of random bytes.
func fill(path string, size int64) error {
	return durably(path, io.LimitReader(rand.Reader, size))
}

// durably writes what r gives to a new file, until it is on the disk.
func durably(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, 1<<20))
	return errors.Join(err, f.Sync(), f.Close())
}

// copyFile copies a file beside itself, durably.
func copyFile(_ context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	copied := path + ".copy"
	return errors.Join(durably(copied, bufio.NewReaderSize(struct{ io.Reader }{f}, 1<<20)), os.Remove(copied))
}

// copyHTTPS posts a file to a server of this process that writes it beside the file, durably, before it answers.
func copyHTTPS(ctx context.Context, path string) error {
	cert, pool, err := loopbackCert()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	copied := path + ".copy"
	server := &http.Server{
		ReadHeaderTimeout: patience,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := durably(copied, r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	err = post(ctx, pool, "https://"+l.Addr().String()+"/", path)
	err = errors.Join(err, server.Close(), os.Remove(copied))
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

func post(ctx context.Context, pool *x509.CertPool, address, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, f)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// loopbackCert makes a certificate for this machine and a pool that trusts it.
func loopbackCert() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}
