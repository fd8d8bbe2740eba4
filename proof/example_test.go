package proof_test

import (
	"bytes"
	"fmt"
	"os"

	"entente/envelope"
	"entente/proof"
)

// A court reads a proof file that Arvenia handed in. It needs no node and asks nobody.
func Example() {
	data, err := os.ReadFile("testdata/vectors/exchange.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := proof.Decode(bytes.TrimSpace(data))
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := proof.Verify(envelope.Default(), file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Sender.Names["en"], "to", report.Recipient.Names["en"])
	for _, f := range report.Facts {
		fmt.Println(f.Code)
	}

	// With one salt changed, nothing is shown, and the part at fault is named.
	file.Statement.BodySalt[0] ^= 1
	_, err = proof.Verify(envelope.Default(), file)
	fmt.Println(err.(*proof.Error).Part, err.(*proof.Error).Check)
	// Output:
	// Republic of Arvenia to Kingdom of Kestria
	// identities
	// sent
	// text
	// body
	// file
	// received
	// arrived
	// opened
	// /statement/body content is not what was committed to
}
