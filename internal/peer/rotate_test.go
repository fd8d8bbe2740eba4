package peer_test

import (
	"crypto/rand"
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/peer"
	"entente/parcel"
	"entente/party"
)

// rotated is a party before and after a change of its keys.
type rotated struct {
	node
	keys          *keyring.Keyring
	first, second *party.Chain
}

func rotate(t *testing.T, at time.Time, compromised bool) *rotated {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(keyring.WriteKeyFile(filepath.Join(dir, "key"), rand.Reader))
	keys, _, err := keyring.Create(filepath.Join(dir, "keyring.json"), keyring.KeyFile(filepath.Join(dir, "key")), rand.Reader)
	must(err)
	signed, err := party.Create(keys.Identity(map[string]string{"en": "Arvenia"}, "Cyber centre", time.Unix(1, 0), 100*365*24*time.Hour), keys.Signers()...)
	must(err)
	data, err := signed.Encode()
	must(err)
	r := &rotated{keys: keys}
	r.first, err = party.Verify(envelope.Default(), [][]byte{data})
	must(err)
	next := *r.first.Latest()
	next.NotBefore = at.UnixMicro()
	if compromised {
		next.CompromiseSince = new(at.UnixMicro())
	}
	data, err = keys.Rotate(r.first, next, rand.Reader)
	must(err)
	r.second, err = r.first.Append(envelope.Default(), data)
	must(err)
	r.node = *newNode(t, "arvenia")
	r.chain = r.second
	return r
}

// who a node is to its peer: with these certificates, at this time.
func (r *rotated) as(certs map[int]tls.Certificate, now time.Time) *peer.Client {
	return peer.NewClient(peer.ClientConfig{Certs: func() map[int]tls.Certificate { return certs }, Registry: envelope.Default(),
		Now: func() time.Time { return now }, Limits: peer.DefaultLimits()})
}

// Guards: a peer that does not know the new version yet is still reached and reaches us, by the old key; one that does takes the old
// key for 30 days more, and not at all once its owner declares it compromised.
func TestTransportFollowsIdentity(t *testing.T) {
	at := time.Now()
	for _, compromised := range []bool{false, true} {
		a := rotate(t, at, compromised)
		both := a.keys.TLS()
		old := map[int]tls.Certificate{1: both[1]}
		for _, c := range []struct {
			name  string
			knows *party.Chain
			certs map[int]tls.Certificate
			now   time.Time
			code  string // of the refusal; empty if it is let in
		}{
			{"both keys, to who knows the old", a.first, both, at, ""},
			{"both keys, to who knows the new", a.second, both, at, ""},
			{"both keys, after the overlap", a.second, both, at.Add(party.Overlap), ""},
			{"the old key alone, to who knows the new", a.second, old, at, map[bool]string{true: "refused"}[compromised]},
			{"the old key alone, after the overlap", a.second, old, at.Add(party.Overlap), "refused"},
		} {
			b := newNode(t, "kestria")
			pair(&a.node, b)
			b.house.peers[theLink] = c.knows
			b.now = func() time.Time { return c.now }
			endpoint := b.listen(t, peer.DefaultLimits())
			client := a.as(c.certs, c.now)
			_, err := client.Exchange(t.Context(), theLink, endpoint, b.pins(), []parcel.Frame{frame("to Kestria")})
			client.Close()
			if want := map[string]string{"": "", "refused": "peer_unknown"}[c.code]; err == nil && want != "" || err != nil && fault.CodeOf(err) != want {
				t.Errorf("compromised %v: as a client with %s: %v", compromised, c.name, err)
			}

			a.served = func() map[int]tls.Certificate { return c.certs }
			endpoint = a.listen(t, peer.DefaultLimits())
			asker := peer.NewClient(peer.ClientConfig{Certs: b.certs, Registry: envelope.Default(), Now: time.Now, Limits: peer.DefaultLimits()})
			_, err = asker.Exchange(t.Context(), theLink, endpoint, peer.Pins(flow.TransportOf(c.knows), c.now), []parcel.Frame{frame("to Arvenia")})
			asker.Close()
			if want := map[string]string{"": "", "refused": "pin"}[c.code]; err == nil && want != "" || err != nil && fault.CodeOf(err) != want {
				t.Errorf("compromised %v: as a server with %s: %v", compromised, c.name, err)
			}
		}
	}
}
