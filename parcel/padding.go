package parcel

import (
	"encoding/binary"
	"math/bits"
)

// The padding classes. A file's content is sealed as it is. A statement's is padded, so that its sealed length tells a class of
// lengths and not the length.
const (
	PaddingNone = "none"
	// PaddingP1 is length (8 bytes, big-endian) ‖ content ‖ zeros, up to PaddedSize.
	PaddingP1 = "p1"
)

const prefixSize = 8

// PaddedSize is the length that n bytes of content have under PaddingP1, prefix included: the next of 1, 2, 4, … 64 KiB, then the
// next multiple of 64 KiB up to 1 MiB; above that only the prefix is added.
func PaddedSize(n int) int {
	const smallest, step, largest = 1 << 10, 64 << 10, 1 << 20
	total := n + prefixSize
	switch {
	case total <= smallest:
		return smallest
	case total <= step:
		return 1 << bits.Len(uint(total-1))
	case total <= largest:
		return (total + step - 1) / step * step
	}
	return total
}

// pad returns content under PaddingP1.
func pad(content []byte) []byte {
	padded := make([]byte, PaddedSize(len(content)))
	binary.BigEndian.PutUint64(padded, uint64(len(content)))
	copy(padded[prefixSize:], content)
	return padded
}

// unpad is its inverse. It takes what pad makes and nothing else: a length in the wrong class, or padding that is not zero, would
// be a place to hide something that the content's commitments don't cover.
func unpad(padded []byte) ([]byte, error) {
	if len(padded) < prefixSize {
		return nil, refuse("content", "is shorter than its padding's prefix")
	}
	n := binary.BigEndian.Uint64(padded)
	if n > uint64(len(padded)-prefixSize) || PaddedSize(int(n)) != len(padded) {
		return nil, refuse("content", "has not the padded length of its class")
	}
	content, zeros := padded[prefixSize:prefixSize+n], padded[prefixSize+n:]
	for _, b := range zeros {
		if b != 0 {
			return nil, refuse("content", "has padding that is not zero")
		}
	}
	return content, nil
}
