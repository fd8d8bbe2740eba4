package party_test

import (
	"fmt"
	"strings"

	"entente/envelope"
	"entente/party"
)

// Arvenia invites Kestria. Both end with the same transcript, and two people compare its code by telephone.
func Example_pairing() {
	arvenia, kestria := envelope.Sum([]byte("Arvenia")), envelope.Sum([]byte("Kestria"))
	offer := []byte("the link agreement that Arvenia proposes")
	nonceA, nonceB := [32]byte{1}, [32]byte{2} // drawn at random, each by one side

	commit := party.PairCommit(nonceA, arvenia, offer) // Arvenia sends it first, and nonceA last
	transcript := party.Transcript{Commit: commit, A: arvenia, B: kestria, OfferA: offer, NonceB: nonceB, NonceA: nonceA}
	if err := transcript.Check(); err != nil {
		fmt.Println(err)
		return
	}
	code := party.CodeOf(transcript.Hash())
	fmt.Println(code.Digits())
	for _, lang := range party.Languages() {
		words, _ := code.Words(lang)
		fmt.Println(strings.Join(words, " "))
	}
	// Output:
	// 0810 5917 0661
	// velvet storm dolphin compass lunch waffle
	// 游泳 项链 猴子 风筝 蜜蜂 照片
}
