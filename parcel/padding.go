package parcel

import (
	"encoding/binary"
	"math/bits"

	"entente/envelope"
)

// The padding classes. A file is sealed as it is. A statement's content is padded, so that its sealed length tells a class of
// lengths and not the length; above 1 MiB it is sealed as it is.
const (
	PaddingNone = "none"
	// PaddingP1 is length (8 bytes, big-endian) ‖ content ‖ zeros, up to the next of 1, 2, 4, … 64 KiB, then up to the next
	// multiple of 64 KiB.
	PaddingP1 = "p1"
)

const (
	prefixSize    = 8
	smallestClass = 1 << 10
	classStep     = 64 << 10
	largestClass  = 1 << 20
)

// PaddingClass is the class in which SealContent seals n bytes of content: what its header must say.
func PaddingClass(n int) string {
	if n+prefixSize > largestClass {
		return PaddingNone
	}
	return PaddingP1
}

// paddedSize is the length that n bytes of content have when they are sealed, prefix included where there is one.
func paddedSize(n int) int {
	total := n + prefixSize
	switch {
	case total <= smallestClass:
		return smallestClass
	case total <= classStep:
		return 1 << bits.Len(uint(total-1))
	case total <= largestClass:
		return (total + classStep - 1) / classStep * classStep
	}
	return n
}

// pad returns content as it is sealed.
func pad(content []byte) []byte {
	if PaddingClass(len(content)) == PaddingNone {
		return content
	}
	padded := make([]byte, paddedSize(len(content)))
	binary.BigEndian.PutUint64(padded, uint64(len(content)))
	copy(padded[prefixSize:], content)
	return padded
}

// unpad is its inverse, given the header's class. It takes what pad makes and nothing else: a length in another class than its
// own, or padding that is not zero, would be a place to hide something that no commitment covers.
func unpad(class string, padded []byte) ([]byte, error) {
	if class == PaddingNone {
		if PaddingClass(len(padded)) != PaddingNone {
			return nil, envelope.Refuse("padding", "is none, where the content is of class %s", PaddingP1)
		}
		return padded, nil
	}
	if len(padded) < prefixSize || len(padded) > largestClass {
		return nil, envelope.Refuse("content", "has no length of class %s", class)
	}
	n := binary.BigEndian.Uint64(padded)
	if n > uint64(len(padded)-prefixSize) || paddedSize(int(n)) != len(padded) {
		return nil, envelope.Refuse("content", "has not the padded length of its class")
	}
	content, zeros := padded[prefixSize:prefixSize+n], padded[prefixSize+n:]
	for _, b := range zeros {
		if b != 0 {
			return nil, envelope.Refuse("content", "has padding that is not zero")
		}
	}
	return content, nil
}
