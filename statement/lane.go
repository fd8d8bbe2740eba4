package statement

import "slices"

// Lane keeps urgent traffic from waiting behind bulk: sequences run per link, direction and lane. A thread stays in its lane.
type Lane string

const (
	Control    Lane = "control"
	Hotline    Lane = "hotline"
	Assistance Lane = "assistance"
	Network    Lane = "network"
	Accord     Lane = "accord"
	Dialogue   Lane = "dialogue"
)

// Lanes returns every lane, most urgent first.
func Lanes() []Lane {
	return []Lane{Control, Hotline, Assistance, Network, Accord, Dialogue}
}

// Valid says whether l is one of Lanes.
func (l Lane) Valid() bool { return slices.Contains(Lanes(), l) }
