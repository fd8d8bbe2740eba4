package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"entente/internal/fault"
)

func TestPublicHidesTheCause(t *testing.T) {
	cause := errors.New("pq: password of entente is hunter2")
	err := fmt.Errorf("saving parcel: %w", fault.Wrap(fault.Unavailable, "database", "The database does not answer; try again.", cause))
	if got := fault.Public(err); strings.Contains(got, "hunter2") || got != "The database does not answer; try again." {
		t.Errorf("Public = %q", got)
	}
	if fault.KindOf(err) != fault.Unavailable || fault.CodeOf(err) != "database" {
		t.Errorf("kind %q code %q", fault.KindOf(err), fault.CodeOf(err))
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not reachable for the log")
	}
}

func TestAnUnknownErrorIsInternal(t *testing.T) {
	err := errors.New("nil map")
	if fault.KindOf(err) != fault.Internal || fault.CodeOf(err) != "internal" || strings.Contains(fault.Public(err), "nil map") {
		t.Errorf("kind %q code %q public %q", fault.KindOf(err), fault.CodeOf(err), fault.Public(err))
	}
}
