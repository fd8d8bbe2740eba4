package parcel_test

import (
	"bytes"
	"fmt"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/handling"
	"entente/parcel"
	"entente/statement"
)

// Arvenia seals a message for Kestria under a header, which its node would sign; Kestria opens it.
func Example() {
	registry := envelope.Default()
	keys := envelopetest.NewParty("Kestria", envelope.INT1())
	content, name, err := statement.Compose(statement.Text{
		Link: theLink, From: arvenia, To: kestria, Lane: statement.Hotline, Kind: "message", Edition: someHash("rules"),
		Authored: created, Zone: "UTC", Urgency: "urgent", Marking: handling.Marking{TLP: "AMBER"},
	}, statement.MessageBody{Subject: "Line check", Language: "en", Text: "Do you hear us?"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := content.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}
	header := parcel.Header{
		V: 1, ID: envelope.NewID(), Link: theLink, From: arvenia, To: kestria, Identity: 1, Recipient: 1, Lane: statement.Hotline,
		Seq: 1, Index: 0, Seen: &parcel.Seen{}, Text: name, Created: created, Expires: created + 3_600_000_000,
		Padding: parcel.PaddingClass(len(data)),
	}
	var wire bytes.Buffer
	sealed, err := parcel.SealContent(registry, &wire, data, keys.Keys, header.Context())
	if err != nil {
		fmt.Println(err)
		return
	}
	header.Suites, header.Layers = []string{envelope.SuiteINT1}, sealed.Layers
	header.Segments, header.Length, header.Root = sealed.Segments, sealed.Length, sealed.Root
	fmt.Println("header:", header.Validate())

	_, text, err := parcel.OpenContent(registry, bytes.NewReader(wire.Bytes()), &header, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(text.Kind, "in lane", text.Lane, "of", text.Urgency, "urgency")

	header.To = arvenia // somebody else's name on it
	_, _, err = parcel.OpenContent(registry, bytes.NewReader(wire.Bytes()), &header, keys)
	fmt.Println("under another name:", err != nil)
	// Output:
	// header: <nil>
	// message in lane hotline of urgent urgency
	// under another name: true
}

func ExampleReadBundle() {
	var file bytes.Buffer
	label := parcel.Bundle{Link: theLink, From: arvenia, To: kestria}
	frames := []parcel.Frame{parcel.SegmentFrame{Parcel: someID("p"), Number: 0, Bytes: []byte("sealed")}.Frame()}
	if err := parcel.WriteBundle(&file, label, each(frames)); err != nil {
		fmt.Println(err)
		return
	}
	cut := file.Bytes()[:file.Len()-13] // the stick was pulled out too early
	_, read, err := parcel.ReadBundle(bytes.NewReader(cut))
	if err != nil {
		fmt.Println(err)
		return
	}
	for f, err := range read {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println("frame of kind", f.Kind, "with", len(f.Payload), "bytes")
	}
	// Output:
	// frame of kind 2 with 30 bytes
	// the courier file ends before its last frame
}
