package parcel

import (
	"entente/envelope"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

const (
	maxItems    = 128
	maxAsked    = 256
	maxGiven    = 4 << 20
	maxReceipts = 8
	maxProof    = 63
)

// OpeningFrame shows the peer a new epoch: the signed opening, leaf 0 of the new log, and a checkpoint of that one leaf, so that
// it is authenticated by the identity and by the log's keys.
type OpeningFrame struct {
	Envelope   []byte `json:"envelope"`
	Leaf       []byte `json:"leaf"`
	Checkpoint []byte `json:"checkpoint"`
}

// Validate bounds the parts.
func (o *OpeningFrame) Validate() error {
	switch {
	case len(o.Envelope) == 0 || len(o.Envelope) > 32<<10:
		return envelope.Refuse("envelope", "is empty or too large")
	case len(o.Leaf) == 0 || len(o.Leaf) > maxLeaf:
		return envelope.Refuse("leaf", "is empty or over %d bytes", maxLeaf)
	case len(o.Checkpoint) == 0 || len(o.Checkpoint) > 64<<10:
		return envelope.Refuse("checkpoint", "is empty or too large")
	}
	return nil
}

// Epochs are the epochs that a frame of catching up belongs to; in others it is void.
type Epochs struct {
	Own  uint32 `json:"own"`  // of who sends the frame
	Peer uint32 `json:"peer"` // of who takes it
}

func (e Epochs) check() error {
	if e.Own < ledger.FirstEpoch || e.Peer < ledger.FirstEpoch {
		return envelope.Refuse("epochs", "are none")
	}
	return nil
}

// LaneAfter is a lane in one epoch of its author, after a sequence.
type LaneAfter struct {
	Author party.ID       `json:"author"`
	Epoch  uint32         `json:"epoch"`
	Lane   statement.Lane `json:"lane"`
	After  uint64         `json:"after"`
}

func (l *LaneAfter) check() error {
	if l.Author.IsZero() || l.Epoch < ledger.FirstEpoch || !l.Lane.Valid() || l.After > statement.MaxInteger {
		return envelope.Refuse("lane", "is not a place in a lane")
	}
	return nil
}

// LogFrom is a log in one epoch of its party, from a leaf on.
type LogFrom struct {
	Party party.ID `json:"party"`
	Epoch uint32   `json:"epoch"`
	From  int64    `json:"from"`
}

func (l *LogFrom) check() error {
	if l.Party.IsZero() || l.Epoch < ledger.FirstEpoch {
		return envelope.Refuse("log", "is not a log")
	}
	return checkIndex("log/from", l.From)
}

// AskedFile is a file of a statement by its position.
type AskedFile struct {
	Statement statement.Commitment `json:"statement"`
	Position  int                  `json:"position"`
}

// AskFrame asks for what the peer holds of former epochs. Statements and leaves come back in a GivenFrame, files as parcels.
type AskFrame struct {
	Epochs  Epochs          `json:"epochs"`
	Lane    *LaneAfter      `json:"lane,omitzero"`
	Log     *LogFrom        `json:"log,omitzero"`
	Headers []envelope.Hash `json:"headers,omitempty"` // statements whose content is lost here
	Files   []AskedFile     `json:"files,omitempty"`
}

// Validate bounds what is asked for; asking for nothing is refused.
func (a *AskFrame) Validate() error {
	if err := a.Epochs.check(); err != nil {
		return err
	}
	switch {
	case len(a.Headers) > maxAsked || len(a.Files) > maxAsked:
		return envelope.Refuse("", "asks for too much at once")
	case a.Lane == nil && a.Log == nil && len(a.Headers)+len(a.Files) == 0:
		return envelope.Refuse("", "asks for nothing")
	}
	if err := checkFiles(a.Files); err != nil {
		return err
	}
	if a.Lane != nil {
		if err := a.Lane.check(); err != nil {
			return err
		}
	}
	if a.Log != nil {
		return a.Log.check()
	}
	return nil
}

func checkFiles(files []AskedFile) error {
	for _, f := range files {
		if f.Position < 0 || f.Position >= statement.MaxFiles {
			return envelope.Refuse("files", "are at no place")
		}
	}
	return nil
}

// GivenItem is a statement that is given back: its header as its author signed it, the addressee's receipts, and its content sealed
// anew, which the header's commitment to the text authenticates. Of an erased one the text is given alone; of one that was refused
// or rejected, no content.
type GivenItem struct {
	Header   []byte           `json:"header"`
	Receipts [][]byte         `json:"receipts,omitempty"`
	Layers   []envelope.Layer `json:"layers,omitempty"`
	Sealed   []byte           `json:"sealed,omitempty"`
	Padding  string           `json:"padding,omitzero"` // of Sealed
	Version  int              `json:"version,omitzero"` // of the recipient's identity that Sealed is for
	Text     []byte           `json:"text,omitempty"`
	TextSalt *statement.Salt  `json:"text_salt,omitzero"`
}

// GivenLog is a run of leaves of a log, with the proof that the tree up to their end is part of a checkpoint of the given size.
type GivenLog struct {
	LogFrom
	Leaves [][]byte        `json:"leaves"`
	Size   int64           `json:"size"`
	Proof  []envelope.Hash `json:"proof"`
}

// GivenFrame answers an AskFrame: statements of a lane, in sequence. Next is where to ask on, Done that there is no more; Absent
// are statements asked for whose content is not here either.
type GivenFrame struct {
	Epochs Epochs          `json:"epochs"`
	Lane   *LaneAfter      `json:"lane,omitzero"`
	Items  []GivenItem     `json:"items,omitempty"`
	Next   uint64          `json:"next,omitzero"`
	Done   bool            `json:"done,omitzero"`
	Absent []envelope.Hash `json:"absent,omitempty"`

	AbsentFiles []AskedFile `json:"absent_files,omitempty"`

	Log *GivenLog `json:"log,omitzero"`
}

// Validate bounds what is given.
func (g *GivenFrame) Validate() error {
	if err := g.Epochs.check(); err != nil {
		return err
	}
	switch {
	case len(g.Items) > maxItems || len(g.Absent) > maxAsked || len(g.AbsentFiles) > maxAsked:
		return envelope.Refuse("items", "are too many")
	case g.Next > statement.MaxInteger:
		return envelope.Refuse("next", "is over 2^53 − 1")
	}
	if err := checkFiles(g.AbsentFiles); err != nil {
		return err
	}
	for _, item := range g.Items {
		if err := item.check(); err != nil {
			return err
		}
	}
	if g.Lane != nil {
		if err := g.Lane.check(); err != nil {
			return err
		}
	}
	if g.Log == nil {
		return nil
	}
	if err := g.Log.check(); err != nil {
		return err
	}
	if len(g.Log.Leaves) == 0 || len(g.Log.Leaves) > maxLeaves || len(g.Log.Proof) > maxProof {
		return envelope.Refuse("log", "has no leaves, or too much")
	}
	for _, leaf := range g.Log.Leaves {
		if len(leaf) == 0 || len(leaf) > maxLeaf {
			return envelope.Refuse("log/leaves", "are empty or over %d bytes", maxLeaf)
		}
	}
	return checkIndex("log/size", g.Log.Size)
}

func (i *GivenItem) check() error {
	switch {
	case len(i.Header) == 0 || len(i.Header) > MaxSigned:
		return envelope.Refuse("items/header", "is empty or over %d bytes", MaxSigned)
	case len(i.Receipts) > maxReceipts:
		return envelope.Refuse("items/receipts", "are over %d", maxReceipts)
	case len(i.Sealed) > maxSealedContent:
		return envelope.Refuse("items/sealed", "is over %d bytes", maxSealedContent)
	case (len(i.Sealed) == 0) != (len(i.Layers) == 0) || len(i.Sealed) > 0 && len(i.Text) > 0:
		return envelope.Refuse("items/sealed", "goes with its layers, and without the text alone")
	case (len(i.Text) == 0) != (i.TextSalt == nil):
		return envelope.Refuse("items/text", "goes with its salt")
	}
	return nil
}

// Given is the header under which an item's content is opened: what is sealed anew in place of what was sealed first.
func (h *Header) Given(i GivenItem) *Header {
	g := *h
	g.Layers, g.Length, g.Padding, g.Recipient = i.Layers, int64(len(i.Sealed)), i.Padding, i.Version
	g.Segments, g.Root = segments(g.Length), contentRoot(i.Sealed)
	return &g
}

func contentRoot(sealed []byte) envelope.Hash {
	var tree envelope.RootBuilder
	for rest := sealed; len(rest) > 0; {
		n := min(len(rest), envelope.SegmentSize)
		tree.Add(envelope.SegmentHash(rest[:n]))
		rest = rest[n:]
	}
	return tree.Root()
}

func (*OpeningFrame) kind() FrameKind { return FrameOpening }
func (*AskFrame) kind() FrameKind     { return FrameAsk }
func (*GivenFrame) kind() FrameKind   { return FrameGiven }
