package party

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"entente/envelope"
)

// mitm is a pairing of A with B in which M stands between: A invites, and M answers as B; M invites B as A. A and B
// then compare codes; if these agree, M has won.
type mitm struct {
	a, b, m ID
	offer   []byte
	random  *rand.ChaCha8
}

func newMITM() *mitm {
	return &mitm{
		a: envelope.Sum([]byte("Arvenia")), b: envelope.Sum([]byte("Kestria")), m: envelope.Sum([]byte("middleman")),
		offer: []byte("the agreement"), random: rand.NewChaCha8([32]byte{7}),
	}
}

func (p *mitm) nonce() (n [32]byte) {
	p.random.Read(n[:])
	return n
}

// best is the try out of n whose code agrees with want in its first word, or the last try.
func best(n int, want byte, try func() Transcript) Transcript {
	var t Transcript
	for range n {
		if t = try(); t.Hash()[0] == want {
			break
		}
	}
	return t
}

// run plays one pairing. M fixes his commitment to B before he knows nonceA, and his nonce to A as well: A reveals
// hers only when she has it. Then he knows everything, and may try his own nonce again (reveals times) although he
// has committed himself. The result is what A and B believe.
func (p *mitm) run(guesses, reveals int) (seenByA, seenByB Transcript) {
	nonceA, nonceB, nonceM := p.nonce(), p.nonce(), p.nonce()
	withA := Transcript{Commit: PairCommit(nonceA, p.a, p.offer), A: p.a, B: p.m, OfferA: p.offer}
	withB := Transcript{
		Commit: PairCommit(nonceM, p.m, p.offer), A: p.m, B: p.b, OfferA: p.offer,
		NonceB: nonceB, NonceA: nonceM,
	}
	want := withB.Hash()[0]
	// The best that he can do for his nonce to A: guess nonceA, and choose what would agree if the guess were right.
	withA = best(guesses, want, func() Transcript {
		guess := withA
		guess.NonceB, guess.NonceA = p.nonce(), p.nonce()
		return guess
	})
	withA.NonceA = nonceA // A reveals
	if reveals > 0 {
		want = withA.Hash()[0]
		withB = best(reveals, want, func() Transcript {
			again := withB
			again.NonceA = p.nonce()
			return again
		})
	}
	return withA, withB
}

// In 100,000 pairings a middleman who chooses his nonces as well as he can never sees two codes agree, and even the
// first word of six agrees no more often than chance has it; if he changes his nonce after the reveal, B refuses. When
// B does not check the commitment, the same middleman fits the first word at will: that is what the check is for.
func TestPairMITM(t *testing.T) {
	const pairings = 100_000
	p := newMITM()
	words := 0
	for range pairings {
		a, b := p.run(2, 0)
		if a.Check() != nil || b.Check() != nil {
			t.Fatal("an honest commitment was refused")
		}
		hashA, hashB := a.Hash(), b.Hash()
		codeA, codeB := CodeOf(hashA), CodeOf(hashB)
		if codeA.Digits() == codeB.Digits() {
			t.Fatalf("both sides read %s", codeA.Digits())
		}
		if [6]byte(hashA[:6]) == [6]byte(hashB[:6]) {
			t.Fatal("both sides read the same six words")
		}
		if hashA[0] == hashB[0] {
			words++
		}
	}
	// 100,000/256 = 391 are expected, with a standard deviation of 20; the limits are six of these away.
	if words < 270 || words > 510 {
		t.Errorf("the first word agreed %d times", words)
	}

	won, refused := 0, 0
	const cheats = 500
	for range cheats {
		a, b := p.run(1, 5_000)
		if a.Hash()[0] == b.Hash()[0] {
			won++
		}
		if errors.Is(b.Check(), ErrCommitment) {
			refused++
		}
	}
	if refused != cheats {
		t.Errorf("%d of %d nonces changed after the reveal were refused", refused, cheats)
	}
	if won != cheats {
		t.Errorf("without the check, the middleman fitted the first word %d times of %d", won, cheats)
	}
}

func TestTranscript(t *testing.T) {
	p := newMITM()
	good := Transcript{A: p.a, B: p.b, OfferA: p.offer, NonceA: p.nonce(), NonceB: p.nonce()}
	good.Commit = PairCommit(good.NonceA, good.A, good.OfferA)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(t *Transcript)
		want   error // nil where the commitment says nothing about the field
	}{
		{"commitment", func(t *Transcript) { t.Commit[0] ^= 1 }, ErrCommitment},
		{"inviter", func(t *Transcript) { t.A[31] ^= 1 }, ErrCommitment},
		{"offer", func(t *Transcript) { t.OfferA = []byte("another agreement") }, ErrCommitment},
		{"inviter's nonce", func(t *Transcript) { t.NonceA[0] ^= 1 }, ErrCommitment},
		{"invitee", func(t *Transcript) { t.B[0] ^= 1 }, nil},
		{"invitee's nonce", func(t *Transcript) { t.NonceB[31] ^= 1 }, nil},
		{"itself", func(t *Transcript) { t.B = t.A }, ErrSelf},
	}
	for _, test := range tests {
		changed := good
		test.change(&changed)
		if err := changed.Check(); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if changed.Hash() == good.Hash() {
			t.Errorf("%s: the link's id does not depend on it", test.name)
		}
	}
}

func TestShortCode(t *testing.T) {
	var hash envelope.Hash
	for n := range hash {
		hash[n] = byte(n)
	}
	code := CodeOf(hash)
	digits := fmt.Sprintf("%012d", binary.BigEndian.Uint64(hash[6:])%1_000_000_000_000)
	if want := digits[:4] + " " + digits[4:8] + " " + digits[8:]; code.Digits() != want {
		t.Errorf("digits %q, want %q", code.Digits(), want)
	}
	for _, lang := range Languages() {
		list, err := readWords(lang)
		if err != nil {
			t.Fatal(err)
		}
		words, err := code.Words(lang)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(words, " "), strings.Join(list[:6], " "); got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
	}
	for _, lang := range []string{"", "xx", "../en", "en.txt"} {
		if _, err := code.Words(lang); !errors.Is(err, ErrLanguage) {
			t.Errorf("language %q: got %v", lang, err)
		}
	}
	if got := CodeOf(envelope.Hash{}).Digits(); got != "0000 0000 0000" {
		t.Errorf("digits of zero: %q", got)
	}
}

func TestFingerprint(t *testing.T) {
	a, b := Fingerprint(envelope.Sum([]byte("Arvenia"))), Fingerprint(envelope.Sum([]byte("Kestria")))
	for _, f := range []string{a, b} {
		if !regexp.MustCompile(`^(\d{5} ){11}\d{5}$`).MatchString(f) {
			t.Errorf("fingerprint %q", f)
		}
	}
	if a == b {
		t.Error("two parties have one fingerprint")
	}
}
