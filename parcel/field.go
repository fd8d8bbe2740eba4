package parcel

import (
	"regexp"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// maxVersion bounds the versions of an identity.
const maxVersion = 1 << 20

var codePattern = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,63}$`)

// checkParties is what header, receipt and grant have in common.
func checkParties(v int, link statement.LinkID, from, to party.ID, identity int, lane statement.Lane) error {
	switch {
	case v != 1:
		return envelope.Refuse("v", "is %d, not 1", v)
	case link.IsZero():
		return envelope.Refuse("link", "is zero")
	case from.IsZero():
		return envelope.Refuse("from", "is zero")
	case to.IsZero():
		return envelope.Refuse("to", "is zero")
	case from == to:
		return envelope.Refuse("to", "is the sender")
	case identity < 1 || identity > maxVersion:
		return envelope.Refuse("identity", "is not a version")
	case !lane.Valid():
		return envelope.Refuse("lane", "%.40q is not a lane", string(lane))
	}
	return nil
}

// checkPlace: a lane's first header has no predecessor, every other has one.
func checkPlace(seq uint64, prev *envelope.Hash) error {
	switch {
	case seq < 1 || seq > statement.MaxInteger:
		return envelope.Refuse("seq", "is not within 1 to 2^53 − 1")
	case seq == 1 && prev != nil:
		return envelope.Refuse("prev", "stands in a lane's first header")
	case seq > 1 && (prev == nil || prev.IsZero()):
		return envelope.Refuse("prev", "is missing")
	}
	return nil
}

func checkSeen(s Seen) error {
	if s.Seq > statement.MaxInteger {
		return envelope.Refuse("seen/seq", "is over 2^53 − 1")
	}
	return nil
}

func checkTime(where string, t int64) error {
	if t <= 0 || t > statement.MaxInteger {
		return envelope.Refuse(where, "%d is not a time in UTC microseconds", t)
	}
	return nil
}

func checkIndex(where string, index int64) error {
	if index < 0 || index > statement.MaxInteger {
		return envelope.Refuse(where, "%d is not an index", index)
	}
	return nil
}

// encode and decode are the codec of headers, receipts and grants: strict, validated, bounded.
func encode(what string, v interface{ Validate() error }, max int) ([]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(data) > max {
		return nil, envelope.Refuse(what, "is over %d bytes", max)
	}
	return data, nil
}

func decode(what string, data []byte, v interface{ Validate() error }, max int) error {
	if len(data) > max {
		return envelope.Refuse(what, "is over %d bytes", max)
	}
	if err := envelope.Unmarshal(data, v); err != nil {
		return err
	}
	return v.Validate()
}
