package flow_test

import (
	"bytes"
	"testing"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecodeInvitation: whatever is read is refused as invalid, or encodes to what decodes to the same.
func FuzzDecodeInvitation(f *testing.F) {
	offer, err := statement.DefaultAgreement().Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, endpoint := range []string{"https://arvenia.example:7443", "https://[::1]:1", "https://a.example/"} {
		data, err := flow.Invitation{V: 1, Identity: [][]byte{[]byte("chain")}, Endpoint: endpoint, Token: bytes.Repeat([]byte{7}, 32), Offer: offer, Expires: 1}.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, endpoint := range []string{"", "https://arvenia.example:7443"} { // to be answered by a file
		data, err := flow.Invitation{V: 1, Identity: [][]byte{[]byte("chain")}, Endpoint: endpoint, Token: bytes.Repeat([]byte{7}, 32),
			Commit: &envelope.Hash{1}, Offer: offer, Expires: 1}.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := flow.DecodeInvitation(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("refused as %s: %v", fault.KindOf(err), err)
			}
			return
		}
		encoded, err := i.Encode()
		if err != nil {
			t.Fatalf("accepted %q, but cannot encode it: %v", data, err)
		}
		again, err := flow.DecodeInvitation(encoded)
		if err != nil {
			t.Fatalf("own encoding %q is refused: %v", encoded, err)
		}
		if diff := cmp.Diff(i, again); diff != "" {
			t.Error(diff)
		}
	})
}
