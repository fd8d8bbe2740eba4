//go:build !race

package testenv

// Race says whether the race detector is at work: memory and time are several times what they are without it.
const Race = false
