package parcel

import (
	"slices"

	"entente/envelope"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

const (
	// OpeningType is the DSSE payload type of an opening.
	OpeningType = "application/vnd.entente.opening+json"
	// MaxOpening bounds an encoded opening payload, in bytes.
	MaxOpening = 8 << 10
	// MaxFormer bounds the heads of epochs before the last one that an opening names.
	MaxFormer = 32
	// AccountType is the DSSE payload type of an account.
	AccountType = "application/vnd.entente.account+json"
	// MaxAccount bounds an encoded account payload, in bytes.
	MaxAccount = 640 << 10

	// MaxAccountLanes and MaxAccountLogs bound what an account lists.
	MaxAccountLanes = 2048
	MaxAccountLogs  = 48
)

// Opening is what a party signs when it opens a new epoch of its ledger (ledger.md, section 5). Leaf 0 of the epoch records it.
type Opening struct {
	V        int              `json:"v"` // 1
	Link     statement.LinkID `json:"link"`
	From     party.ID         `json:"from"`
	To       party.ID         `json:"to"`
	Identity int              `json:"identity"`         // version of from's identity that signs
	Epoch    uint32           `json:"epoch"`            // at least created in seconds, and above last's
	Created  int64            `json:"created"`          // UTC microseconds; the time of leaf 0
	Reason   string           `json:"reason"`           // code: restored, or why it was opened by hand
	Former   []ledger.Head    `json:"former,omitempty"` // of epochs before last, ascending; the newest, if there are more
	Last     ledger.Head      `json:"last"`             // of the epoch that ends, as far as its party still has it
	Cosigned *ledger.Head     `json:"cosigned,omitzero"`
}

// spreadEpochs is how far apart the numbers are that clocks which are behind lead to.
const spreadEpochs = 1024

// EpochNumber is the number of an epoch that begins at a time, after a former one; now is its party's clock (both UTC microseconds). It
// is the clock's time in seconds, so that a party that forgot an epoch does not use its number again. Where the clock is behind what it
// must be above, the number is above that by the clock's seconds, modulo spreadEpochs: two restores from one backup do not have the same.
func EpochNumber(former uint32, begins, now int64) uint32 {
	least, clock := max(former+1, uint32(begins/1e6)), uint32(now/1e6)
	if clock >= least {
		return clock
	}
	return least + clock%spreadEpochs
}

// Encode validates o and returns the payload to sign.
func (o *Opening) Encode() ([]byte, error) { return encode("opening", o, MaxOpening) }

// DecodeOpening decodes a payload strictly and validates it.
func DecodeOpening(data []byte) (*Opening, error) {
	var o Opening
	if err := decode("opening", data, &o, MaxOpening); err != nil {
		return nil, err
	}
	return &o, nil
}

// Validate refuses an opening that contradicts itself.
func (o *Opening) Validate() error {
	if err := checkParties(o.V, o.Link, o.From, o.To, o.Identity, statement.Control); err != nil {
		return err
	}
	if err := checkTime("created", o.Created); err != nil {
		return err
	}
	if int64(o.Epoch) < o.Created/1e6 {
		return envelope.Refuse("epoch", "is below created in seconds")
	}
	if !codePattern.MatchString(o.Reason) {
		return envelope.Refuse("reason", "%.40q is not a code", o.Reason)
	}
	if len(o.Former) > MaxFormer {
		return envelope.Refuse("former", "are over %d", MaxFormer)
	}
	heads := o.Heads()
	for i, head := range heads {
		if head.Epoch < ledger.FirstEpoch || head.Epoch >= o.Epoch || i > 0 && head.Epoch <= heads[i-1].Epoch {
			return envelope.Refuse("last", "and former are not of former epochs, ascending")
		}
		if err := checkIndex("last/size", head.Size); err != nil {
			return err
		}
	}
	if c := o.Cosigned; c != nil && (c.Epoch != o.Last.Epoch || c.Size < 1 || c.Size > o.Last.Size) {
		return envelope.Refuse("cosigned", "is not a head of the epoch that ends, up to last")
	}
	return nil
}

// Heads are those of all former epochs that the opening names, ascending; the last of them is Last.
func (o *Opening) Heads() []ledger.Head { return append(slices.Clone(o.Former), o.Last) }

// Account is what a party signs in answer to an opening: what it holds of the link at that moment. It fixes, with the opening, how
// far the epochs go that have ended.
type Account struct {
	V        int              `json:"v"` // 1
	Link     statement.LinkID `json:"link"`
	From     party.ID         `json:"from"`
	To       party.ID         `json:"to"`
	Identity int              `json:"identity"`
	Epoch    uint32           `json:"epoch"`   // from's own
	Opening  envelope.Hash    `json:"opening"` // the opening that it answers
	Lanes    []HeldLane       `json:"lanes"`
	Logs     []HeldLog        `json:"logs"`
}

// HeldLane is a lane in one epoch of its author, up to the last sequence that is held of it.
type HeldLane struct {
	Author party.ID       `json:"author"`
	Epoch  uint32         `json:"epoch"`
	Lane   statement.Lane `json:"lane"`
	Last   uint64         `json:"last"`
}

// HeldLog is the newest checkpoint of a log that bears the other party's cosignatures; without a note, none does.
type HeldLog struct {
	Party party.ID `json:"party"`
	Epoch uint32   `json:"epoch"`
	Note  []byte   `json:"note,omitempty"`
}

// Encode validates a and returns the payload to sign.
func (a *Account) Encode() ([]byte, error) { return encode("account", a, MaxAccount) }

// DecodeAccount decodes a payload strictly and validates it.
func DecodeAccount(data []byte) (*Account, error) {
	var a Account
	if err := decode("account", data, &a, MaxAccount); err != nil {
		return nil, err
	}
	return &a, nil
}

// Validate bounds what is listed.
func (a *Account) Validate() error {
	if err := checkParties(a.V, a.Link, a.From, a.To, a.Identity, statement.Control); err != nil {
		return err
	}
	switch {
	case a.Epoch < ledger.FirstEpoch:
		return envelope.Refuse("epoch", "is none")
	case a.Opening.IsZero():
		return envelope.Refuse("opening", "is zero")
	case len(a.Lanes) > MaxAccountLanes:
		return envelope.Refuse("lanes", "are over %d", MaxAccountLanes)
	case len(a.Logs) > MaxAccountLogs:
		return envelope.Refuse("logs", "are over %d", MaxAccountLogs)
	}
	parties := []party.ID{a.From, a.To}
	for _, l := range a.Lanes {
		if !slices.Contains(parties, l.Author) || l.Epoch < ledger.FirstEpoch || !l.Lane.Valid() || l.Last > statement.MaxInteger {
			return envelope.Refuse("lanes", "name no lane of the link")
		}
	}
	for _, l := range a.Logs {
		if !slices.Contains(parties, l.Party) || l.Epoch < ledger.FirstEpoch {
			return envelope.Refuse("logs", "name no log of the link")
		}
	}
	return nil
}
