package party

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
)

var update = flag.Bool("update", false, "write the vectors anew")

// pairingVector is a pairing's transcript and what follows from it. Refusal: "", "commitment" or "self".
type pairingVector struct {
	Name    string        `json:"name"`
	A       ID            `json:"a"`
	B       ID            `json:"b"`
	Offer   []byte        `json:"offer"`
	NonceA  envelope.Hash `json:"nonce_a"`
	NonceB  envelope.Hash `json:"nonce_b"`
	Commit  envelope.Hash `json:"commit"`
	Refusal string        `json:"refusal,omitempty"`
	Link    envelope.Hash `json:"link"`
	Digits  string        `json:"digits"`
	English []string      `json:"words_en"`
	Chinese []string      `json:"words_zh"`
	PaperA  string        `json:"fingerprint_a"`
}

// identityVectors are encoded envelopes, and chains of them by index. Refusal: "", "format", "signature", "order" or
// "quorum".
type identityVectors struct {
	Envelopes [][]byte        `json:"envelopes"`
	Chains    []chainVector   `json:"chains"`
	Resolve   []resolveVector `json:"resolve"`
	Cards     []cardVector    `json:"cards"` // signed by the last version of a chain
}

type chainVector struct {
	Name      string        `json:"name"`
	Chain     []int         `json:"chain"`
	Refusal   string        `json:"refusal,omitempty"`
	ID        envelope.Hash `json:"id,omitzero"`
	Recovered []int         `json:"recovered,omitempty"` // versions signed by a quorum
}

type resolveVector struct {
	Name      string  `json:"name"`
	Chains    [][]int `json:"chains"`
	Stands    []int   `json:"stands"`
	Contested bool    `json:"contested"`
}

type cardVector struct {
	Name    string        `json:"name"`
	Chain   []int         `json:"chain"`
	Link    envelope.Hash `json:"link"`
	Card    []byte        `json:"card"`
	Refusal string        `json:"refusal,omitempty"`
}

func refusalOf(err error) string {
	var format *envelope.FormatError
	var signature *envelope.SignatureError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrCommitment):
		return "commitment"
	case errors.Is(err, ErrSelf):
		return "self"
	case errors.Is(err, ErrNoQuorum):
		return "quorum"
	case errors.Is(err, ErrOutOfOrder):
		return "order"
	case errors.As(err, &signature):
		return "signature"
	case errors.As(err, &format):
		return "format"
	}
	return err.Error()
}

// readVectors reads a file of testdata/vectors; with -update it writes what fresh makes, and reads that.
func readVectors(t *testing.T, name string, v any, fresh func() any) {
	t.Helper()
	path := filepath.Join("testdata", "vectors", name)
	if *update {
		data, err := json.Marshal(fresh(), json.Deterministic(true), jsontext.WithIndent("  "))
		if err == nil {
			err = os.WriteFile(path, append(data, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := envelope.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func TestPairingVectors(t *testing.T) {
	var vectors []pairingVector
	readVectors(t, "pairing.json", &vectors, func() any { return newPairingVectors() })
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			transcript := Transcript{Commit: v.Commit, A: v.A, B: v.B, OfferA: v.Offer, NonceA: v.NonceA, NonceB: v.NonceB}
			if got := refusalOf(transcript.Check()); got != v.Refusal {
				t.Errorf("refusal %q, want %q", got, v.Refusal)
			}
			if transcript.Hash() != v.Link {
				t.Errorf("link %s, want %s", transcript.Hash(), v.Link)
			}
			code := CodeOf(v.Link)
			if code.Digits() != v.Digits {
				t.Errorf("digits %q, want %q", code.Digits(), v.Digits)
			}
			for lang, want := range map[string][]string{"en": v.English, "zh": v.Chinese} {
				got, err := code.Words(lang)
				if err != nil || len(got) != len(want) {
					t.Fatal(got, err)
				}
				for n := range got {
					if got[n] != want[n] {
						t.Errorf("word %d: %s, want %s", n+1, got[n], want[n])
					}
				}
			}
			if got := Fingerprint(v.A); got != v.PaperA {
				t.Errorf("fingerprint %q, want %q", got, v.PaperA)
			}
		})
	}
}

func newPairingVectors() []pairingVector {
	base := pairingVector{
		Name: "honest",
		A:    envelope.Sum([]byte("Arvenia")), B: envelope.Sum([]byte("Kestria")), Offer: []byte(`{"v":1}`),
		NonceA: envelope.Hash(seed("nonce a")), NonceB: envelope.Hash(seed("nonce b")),
	}
	base.Commit = PairCommit(base.NonceA, base.A, base.Offer)
	empty := base
	empty.Name, empty.Offer = "empty offer", []byte{}
	empty.Commit = PairCommit(empty.NonceA, empty.A, empty.Offer)
	nonce := base
	nonce.Name, nonce.NonceA, nonce.Refusal = "nonce changed after the reveal", envelope.Hash(seed("another")), "commitment"
	offer := base
	offer.Name, offer.Offer, offer.Refusal = "offer changed after the reveal", []byte(`{"v":2}`), "commitment"
	swapped := base
	swapped.Name, swapped.A, swapped.B, swapped.Refusal = "sides swapped", base.B, base.A, "commitment"
	self := base
	self.Name, self.B, self.Refusal = "paired with itself", base.A, "self"
	vectors := []pairingVector{base, empty, nonce, offer, swapped, self}
	for n, v := range vectors {
		v.Link = Transcript{Commit: v.Commit, A: v.A, B: v.B, OfferA: v.Offer, NonceA: v.NonceA, NonceB: v.NonceB}.Hash()
		code := CodeOf(v.Link)
		v.Digits, v.PaperA = code.Digits(), Fingerprint(v.A)
		v.English, _ = code.Words("en")
		v.Chinese, _ = code.Words("zh")
		vectors[n] = v
	}
	return vectors
}

func TestIdentityVectors(t *testing.T) {
	var vectors identityVectors
	readVectors(t, "identity.json", &vectors, func() any { return newIdentityVectors(t) })
	pick := func(indexes []int) (envelopes [][]byte) {
		for _, n := range indexes {
			envelopes = append(envelopes, vectors.Envelopes[n])
		}
		return envelopes
	}
	for _, v := range vectors.Chains {
		t.Run("chain/"+v.Name, func(t *testing.T) {
			c, err := Verify(envelope.Default(), pick(v.Chain))
			if got := refusalOf(err); got != v.Refusal {
				t.Fatalf("refusal %q, want %q: %v", got, v.Refusal, err)
			}
			if err != nil {
				return
			}
			if c.ID != v.ID {
				t.Errorf("id %s, want %s", c.ID, v.ID)
			}
			count := 0
			for n := range c.Versions {
				if c.Recovered(n + 1) {
					count++
				}
			}
			for _, n := range v.Recovered {
				if !c.Recovered(n) {
					t.Errorf("version %d is not signed by the quorum", n)
				}
			}
			if count != len(v.Recovered) {
				t.Errorf("%d versions are signed by the quorum, want %d", count, len(v.Recovered))
			}
		})
	}
	for _, v := range vectors.Resolve {
		t.Run("resolve/"+v.Name, func(t *testing.T) {
			var chains []*Chain
			for _, indexes := range v.Chains {
				chains = append(chains, verify(t, pick(indexes)...))
			}
			for _, order := range permutations(chains) {
				stands, contested := resolve(t, order...)
				want := pick(v.Stands)
				if contested != v.Contested || len(stands.Envelopes) != len(want) {
					t.Fatalf("%d versions stand, contested: %v", len(stands.Envelopes), contested)
				}
				for n := range want {
					if !bytes.Equal(stands.Envelopes[n], want[n]) {
						t.Errorf("another version %d stands", n+1)
					}
				}
			}
		})
	}
	for _, v := range vectors.Cards {
		t.Run("card/"+v.Name, func(t *testing.T) {
			signedBy := verify(t, pick(v.Chain)...).Latest()
			_, err := VerifyCard(envelope.Default(), signedBy, v.Link, v.Card)
			if got := refusalOf(err); got != v.Refusal {
				t.Errorf("refusal %q, want %q: %v", got, v.Refusal, err)
			}
		})
	}
}

// newIdentityVectors signs everything anew; keys and signatures are deterministic, so the file stays the same.
func newIdentityVectors(t *testing.T) identityVectors {
	s := newScene(t)
	_, fresh := quorum(t, "fresh", 1, 1)
	since := start + day/2
	third := func(change func(i *Identity), signers ...envelope.Signer) []byte {
		i := s.third()
		if change != nil {
			change(&i)
		}
		return forge(t, i, signers...)
	}
	both := join(s.two.sign, s.three.sign)
	tampered := bytes.Replace(s.first.Envelopes[0], []byte(`"sig":"A`), []byte(`"sig":"B`), 1)
	if bytes.Equal(tampered, s.first.Envelopes[0]) {
		tampered = bytes.Replace(s.first.Envelopes[0], []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1)
	}
	id := s.first.ID
	v := identityVectors{
		Envelopes: [][]byte{
			s.first.Envelopes[0],
			s.second.Envelopes[1],
			third(nil, both...),
			third(func(i *Identity) { i.CompromiseSince = &since }, join(s.quorum[:2], s.three.sign)...),
			third(nil, join(s.quorum[:1], s.three.sign)...),
			third(func(i *Identity) { i.Recovery = fresh }, both...),
			third(nil, both[1:]...),
			third(func(i *Identity) { i.Names["en"] = "Arvenia\u202e" }, both...),
			third(func(i *Identity) { i.Authority = "Ministry of Justice" }, both...),
			tampered,
		},
		Chains: []chainVector{
			{Name: "first version", Chain: []int{0}, ID: id},
			{Name: "succession by keys", Chain: []int{0, 1, 2}, ID: id},
			{Name: "succession by the quorum", Chain: []int{0, 1, 3}, ID: id, Recovered: []int{3}},
			{Name: "half a quorum", Chain: []int{0, 1, 4}, Refusal: "quorum"},
			{Name: "recovery keys changed without the quorum", Chain: []int{0, 1, 5}, Refusal: "quorum"},
			{Name: "a signature missing", Chain: []int{0, 1, 6}, Refusal: "signature"},
			{Name: "right-to-left override in a name", Chain: []int{0, 1, 7}, Refusal: "format"},
			{Name: "a version left out", Chain: []int{0, 2}, Refusal: "order"},
			{Name: "a version twice", Chain: []int{0, 1, 1}, Refusal: "order"},
			{Name: "without the first", Chain: []int{1}, Refusal: "order"},
			{Name: "nothing", Chain: []int{}, Refusal: "format"},
			{Name: "a signature changed", Chain: []int{9}, Refusal: "signature"},
		},
		Resolve: []resolveVector{
			{Name: "an old chain again", Chains: [][]int{{0, 1, 2}, {0}, {0, 1}}, Stands: []int{0, 1, 2}},
			{Name: "keys against keys", Chains: [][]int{{0, 1, 2}, {0, 1, 8}}, Stands: []int{0, 1}, Contested: true},
			{Name: "keys against the quorum", Chains: [][]int{{0, 1, 2}, {0, 1, 8}, {0, 1, 3}}, Stands: []int{0, 1, 3}},
		},
	}
	card := func(name, refusal string, link envelope.Hash, change func(c *Card), signers ...envelope.Signer) {
		c := newCard(t)
		if change != nil {
			change(&c)
		}
		payload, err := envelope.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		e, err := envelope.Sign(CardType, payload, signers...)
		v.Cards = append(v.Cards, cardVector{Name: name, Chain: []int{0, 1}, Link: link, Card: encode(t, e, err), Refusal: refusal})
	}
	link := newCard(t).Link
	card("good", "", link, nil, s.two.sign...)
	card("another link", "format", envelope.Sum([]byte("another")), nil, s.two.sign...)
	card("keys of the version before", "signature", link, nil, s.one.sign...)
	card("one signature of two", "signature", link, nil, s.two.sign[:1]...)
	card("WebAuthn key in the node", "format", link, func(c *Card) { c.Format = FormatWebAuthn }, s.two.sign...)
	return v
}
