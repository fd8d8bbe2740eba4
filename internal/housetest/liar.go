package housetest

import (
	"entente/parcel"
)

// Lie is what a party lies about.
type Lie string

// The lies.
const (
	Honesty Lie = "none"
)

// Lies lists them all.
func Lies() []Lie { return []Lie{Honesty} }

// forge is where a liar changes what it sends.
func (w *world) forge(n *node, l *link, frames []parcel.Frame) []parcel.Frame {
	return frames
}

// harmed says whether a link's record cannot be expected to be whole.
func (w *world) harmed(l *link) bool { return w.lied && (l.a == w.liar || l.b == w.liar) }
