package party

import (
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"entente/envelope"
)

// The ways in which a pairing's transcript can be wrong.
var (
	ErrCommitment = errors.New("the inviter's nonce or offer is not what it was committed to")
	ErrSelf       = errors.New("a party cannot be paired with itself")
)

// ErrLanguage is the answer to a language without a word list.
var ErrLanguage = errors.New("no word list in this language")

const (
	commitLabel      = "entente/pair-commit/v1\x00"
	transcriptLabel  = "entente/pair/v1\x00"
	fingerprintLabel = "entente/fingerprint/v1\x00"
)

// The word lists have 256 lines; a word's index is its line, from 0. They never change: another list would be another
// language. The Chinese one has a second column, the pinyin.
//
//go:embed words.en.txt words.zh.txt
var wordLists embed.FS

// Languages returns the languages that have a word list.
func Languages() []string { return []string{"en", "zh"} }

// Fingerprint is a party's id for paper: 12 groups of 5 decimal digits, with spaces between. Group g is the
// big-endian integer in bytes 5g to 5g+4 of SHA-512("entente/fingerprint/v1\x00" ‖ id), modulo 100,000, with leading
// zeros; the last four bytes are not used.
func Fingerprint(id ID) string {
	sum := sha512.Sum512(append([]byte(fingerprintLabel), id[:]...))
	groups := make([]string, 12)
	for g := range groups {
		var n [8]byte
		copy(n[3:], sum[5*g:5*g+5])
		groups[g] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(n[:])%100_000)
	}
	return strings.Join(groups, " ")
}

// PairCommit is the inviter's commitment: SHA-256("entente/pair-commit/v1\x00" ‖ nonceA ‖ idA ‖ SHA-256(offer)). The
// offer is its encoded link agreement. It is sent before the invitee has said anything, so the inviter cannot choose
// nonceA to fit what it hears; and nonceA comes last, so neither can the invitee.
func PairCommit(nonceA [32]byte, a ID, offer []byte) envelope.Hash {
	sum := sha256.Sum256(offer)
	b := append([]byte(commitLabel), nonceA[:]...)
	b = append(b, a[:]...)
	return envelope.Sum(append(b, sum[:]...))
}

// Transcript is everything that both sides of a pairing saw, A being the inviter; its hash is the link's id.
type Transcript struct {
	Commit envelope.Hash
	A, B   ID
	OfferA []byte
	NonceB [32]byte
	NonceA [32]byte
}

// Check verifies the commitment and that A and B are two. It is the invitee's duty before it shows a code: without
// it, a middleman can choose his nonce last, and make both codes agree. Errors are ErrCommitment and ErrSelf.
func (t Transcript) Check() error {
	if t.A == t.B {
		return ErrSelf
	}
	if PairCommit(t.NonceA, t.A, t.OfferA) != t.Commit {
		return ErrCommitment
	}
	return nil
}

// Hash is SHA-256("entente/pair/v1\x00" ‖ commit ‖ A ‖ B ‖ SHA-256(offer) ‖ nonceB ‖ nonceA).
func (t Transcript) Hash() envelope.Hash {
	offer := sha256.Sum256(t.OfferA)
	b := append([]byte(transcriptLabel), t.Commit[:]...)
	b = append(b, t.A[:]...)
	b = append(b, t.B[:]...)
	b = append(b, offer[:]...)
	b = append(b, t.NonceB[:]...)
	return envelope.Sum(append(b, t.NonceA[:]...))
}

// ShortCode is what two people compare: twelve digits, then six words in a language of theirs. Either is enough.
type ShortCode struct{ transcript envelope.Hash }

// CodeOf is the code of a transcript's hash.
func CodeOf(transcript envelope.Hash) ShortCode { return ShortCode{transcript} }

// Digits are bits 48 to 111 of the hash, big-endian, modulo 10¹²: "1234 5678 9012".
func (c ShortCode) Digits() string {
	n := binary.BigEndian.Uint64(c.transcript[6:14]) % 1_000_000_000_000
	return fmt.Sprintf("%04d %04d %04d", n/100_000_000, n/10_000%10_000, n%10_000)
}

// Words are bits 0 to 47 of the hash, eight for each of six words, by index in the language's list. Words of two
// languages can be compared by line. The error is ErrLanguage.
func (c ShortCode) Words(lang string) ([]string, error) {
	list, err := readWords(lang)
	if err != nil {
		return nil, err
	}
	words := make([]string, 6)
	for n := range words {
		words[n] = list[c.transcript[n]]
	}
	return words, nil
}

func readWords(lang string) ([]string, error) {
	text, err := wordLists.ReadFile("words." + lang + ".txt")
	if err != nil {
		return nil, fmt.Errorf("%q: %w", lang, ErrLanguage)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for n, line := range lines {
		lines[n], _, _ = strings.Cut(line, "\t")
	}
	return lines, nil
}
