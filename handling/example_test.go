package handling_test

import (
	"fmt"

	"entente/handling"
)

func Example() {
	facts := handling.Facts{
		Kind: "message", Lane: "assistance",
		Marking: handling.Marking{TLP: handling.TLPRed, PAP: handling.PAPAmber},
		Channel: new(handling.ChannelCourier), LinkState: new(handling.LinkActive),
		Encrypted: new(true), Exercise: new(false), LinkExercise: new(false),
		Originator: new(handling.OriginatorOwn),
	}
	decision := handling.Decide(handling.DefaultPolicy(), facts)
	fmt.Println(decision.Allowed, decision.Release)
	for _, reason := range decision.Reasons {
		fmt.Printf("%s: %s\n", reason.Code, reason.Sentence)
	}
	// Output:
	// false second_person
	// missing_has_files: It is not known whether files belong to this. Open the draft again and check its files.
	// tlp_above_channel: The TLP label is too strict for this channel. Choose a safer channel, or ask the source for a less strict label.
}
