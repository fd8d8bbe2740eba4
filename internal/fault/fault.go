// Package fault holds the words for failure. Every error that reaches a person or a peer has a kind for
// machines, a code for counting, a public sentence that says what to do next, and an inner cause that
// stays with us. It promises that Public never leaks the cause, and refuses to guess: an error that is
// not a fault is Internal.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the class of a failure; doors map it to an HTTP status and commands to an exit status.
type Kind string

// The kinds.
const (
	Invalid     Kind = "invalid"     // the input is wrong and will stay wrong
	NotFound    Kind = "not_found"   // the thing named does not exist here
	Conflict    Kind = "conflict"    // the state does not allow it now
	Forbidden   Kind = "forbidden"   // the actor may not do this
	TooLarge    Kind = "too_large"   // a limit on size, depth or count
	Exhausted   Kind = "exhausted"   // too much at once; try later
	Unavailable Kind = "unavailable" // disk full, database gone, peer away; nothing was lost
	Internal    Kind = "internal"    // our own fault
)

// Error is a failure with its two texts.
type Error struct {
	Kind   Kind
	Code   string // stable, counted by cause: "signature", "sequence", "disk_full"
	Public string // a sentence for strangers
	Err    error  // the cause, for us; may be nil
}

// Error joins public sentence and cause, for logs and for the node's own operator.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Public
	}
	return fmt.Sprintf("%s: %v", strings.TrimSuffix(e.Public, "."), e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes a fault without a cause.
func New(kind Kind, code, public string) *Error {
	return &Error{Kind: kind, Code: code, Public: public}
}

// Wrap makes a fault around a cause.
func Wrap(kind Kind, code, public string, err error) *Error {
	return &Error{Kind: kind, Code: code, Public: public, Err: err}
}

// KindOf is the kind of the outermost fault in err's chain, Internal without one.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf is its code, "internal" without one.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return "internal"
}

// Public is the sentence for strangers.
func Public(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Public
	}
	return "The node failed to do this; its operator finds the cause in the log."
}
