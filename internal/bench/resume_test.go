package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/internal/testenv"
)

const (
	mayResend = 16 << 20
	mayReside = 200 << 20
)

// TestTransferIsResumed kills each of two nodes while a large file is on its way. At most 16 MiB of it cross twice for each, no node
// has more than 200 MiB resident, and the file comes. Under the race detector the file is smaller, and memory is not looked at.
func TestTransferIsResumed(t *testing.T) {
	size := int64(256 << 20)
	if testenv.Race {
		size = 64 << 20
	}
	program, err := os.Executable() // TestMain makes it a node
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "b") // a short path: a socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := Options{Program: program, Dir: dir}
	path := filepath.Join(o.Dir, "file")
	if err := fill(path, size); err != nil {
		t.Fatal(err)
	}
	for _, killed := range []string{"author", "addressee"} {
		t.Run(killed, func(t *testing.T) {
			err := withPair(t.Context(), o, filepath.Join(dir, killed[:2]), func(ctx context.Context, p *pair) error {
				victim, other, way := p.arvenia, p.kestria, "in"
				if killed == "addressee" {
					victim, other, way = p.kestria, p.arvenia, "out"
				}
				said, err := p.evidence(ctx, o, path, size)
				if err != nil {
					return err
				}
				err = untilDone(ctx, func() (bool, error) {
					crossed, err := segmentBytes(ctx, other, way)
					return crossed > size/3, err
				})
				if err != nil {
					return err
				}
				most := peak(victim.process.Process.Pid)
				if err := victim.process.Process.Kill(); err != nil {
					return err
				}
				<-victim.ended
				again, stop := context.WithCancel(ctx)
				defer stop()
				if err := victim.start(again, o.Program); err != nil {
					return err
				}
				err = untilDone(ctx, func() (bool, error) {
					m, err := p.kestria.client.Statement(ctx, said.String())
					if fault.KindOf(err) == fault.NotFound {
						return false, nil
					}
					return err == nil && m.Files[0].State == "stored", err
				})
				if err != nil {
					return err
				}
				crossed, err := segmentBytes(ctx, other, way)
				if sealed := size + size/1024; crossed > sealed+mayResend {
					t.Errorf("%d MiB crossed of %d", crossed>>20, sealed>>20)
				}
				for _, s := range []*side{victim, other} {
					if most = max(most, peak(s.process.Process.Pid)); most > mayReside && !testenv.Race {
						t.Errorf("%d MiB are resident at %s", most>>20, s.name)
					}
				}
				t.Logf("%d MiB crossed, %d MiB resident at most", crossed>>20, most>>20)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// segmentBytes reads what a node has counted of large parcels.
func segmentBytes(ctx context.Context, s *side, way string) (int64, error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.data, "entente.sock"))
		}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, fmt.Sprintf("entente_segment_bytes_total{way=%q} ", way)); ok {
			var n float64
			_, err := fmt.Sscan(value, &n)
			return int64(n), err
		}
	}
	return 0, nil
}
