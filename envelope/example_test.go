package envelope_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

// Arvenia signs with every key of its suite; Kestria accepts nothing less, and nothing more.
func ExampleSign() {
	registry := envelope.Default()
	arvenia := envelopetest.NewParty("Arvenia", envelope.INT1())

	signed, err := envelope.Sign("application/vnd.entente.note+json", []byte(`{"to":"Kestria"}`), arvenia.Signers...)
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := registry.Verify(signed, "application/vnd.entente.note+json", arvenia.KeySet("Arvenia, version 1"))
	fmt.Println(string(payload), err)

	signed.Signatures = signed.Signatures[:1]
	_, err = registry.Verify(signed, "application/vnd.entente.note+json", arvenia.KeySet("Arvenia, version 1"))
	fmt.Println(strings.Split(err.Error(), " (")[0])
	// Output:
	// {"to":"Kestria"} <nil>
	// signatures of key set "Arvenia, version 1": signature missing
}

// Content is sealed for a place: a link, a parcel, a sender and a recipient.
func ExampleRegistry_Seal() {
	registry := envelope.Default()
	kestria := envelopetest.NewParty("Kestria", envelope.INT1())
	place := envelope.Context{Parcel: envelope.ID{1}, To: envelope.Sum([]byte("Kestria"))}

	var segments bytes.Buffer
	sealed, err := registry.Seal(&segments, strings.NewReader("what was agreed"), kestria.Keys, place, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sealed.Segments, "segment of", sealed.Length, "bytes under", sealed.Layers[0].Suite)

	content, err := registry.Open(bytes.NewReader(segments.Bytes()), sealed.Length, sealed.Layers, place, 1, kestria)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := io.ReadAll(content)
	fmt.Println(string(plain), err)

	place.Parcel = envelope.ID{2}
	_, err = registry.Open(bytes.NewReader(segments.Bytes()), sealed.Length, sealed.Layers, place, 1, kestria)
	fmt.Println(err)
	// Output:
	// 1 segment of 47 bytes under INT-1
	// what was agreed <nil>
	// opening layer 0: unwrapping content key: content key: sealed content does not authenticate
}
