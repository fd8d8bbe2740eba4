package statement_test

import (
	"fmt"

	"entente/envelope"
	"entente/handling"
	"entente/statement"
)

// A message is composed, sealed and sent elsewhere; whoever opens it reads it back and asks whether it may be said.
func Example() {
	rules := statement.DefaultRules()
	text := statement.Text{
		Link: envelope.Sum([]byte("link")), From: envelope.Sum([]byte("Arvenia")), To: envelope.Sum([]byte("Kestria")),
		Lane: statement.Hotline, Kind: "message", Edition: rules.Edition(),
		Authored: 1_790_000_000_000_000, Zone: "Asia/Shanghai", Urgency: "emergency", Marking: handling.Marking{TLP: "RED"},
	}
	body := statement.MessageBody{Subject: "Power grid", Language: "en", Text: "Is this yours?"}
	content, name, err := statement.Compose(text, body, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := content.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}

	opened, got, gotName, err := statement.DecodeContent(sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(gotName == name, got.Urgency, statement.Check(rules.Kinds, got, opened.Body))
	due, _ := rules.Deadline("ack", got.Kind, got.Urgency)
	fmt.Println("acknowledgement due in", due.Amount, due.Unit)
	// Output:
	// true emergency <nil>
	// acknowledgement due in 30 minutes
}

func ExampleCheckFileName() {
	for _, name := range []string{"证据.zip", `..\evil`, "CON", "invoice\u202efdp.exe"} {
		fmt.Println(statement.CheckFileName(name))
	}
	// Output:
	// <nil>
	// holds one of / \ : * ? " < > |
	// is the name of a device
	// holds the character U+202E
}
