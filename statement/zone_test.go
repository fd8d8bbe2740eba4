package statement

import (
	"archive/zip"
	"bytes"
	"slices"
	"strings"
	"testing"
)

// The list of names is the archive's directory, and every zone in it can be loaded.
func TestZoneList(t *testing.T) {
	archive, err := zip.NewReader(bytes.NewReader(zoneArchive), int64(len(zoneArchive)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	if want := strings.Fields(zoneNames); !slices.Equal(names, want) {
		t.Errorf("the archive has %d zones, the list %d, or others", len(names), len(want))
	}
	for _, name := range names {
		if _, err := Zone(name); err != nil {
			t.Errorf("zone %s: %v", name, err)
		}
	}
}

// A name is known if it stands in the list, whole, and not otherwise.
func TestKnownZone(t *testing.T) {
	for _, name := range strings.Fields(zoneNames) {
		if !KnownZone(name) || KnownZone(name+"x") || KnownZone(name[1:]) && !slices.Contains(strings.Fields(zoneNames), name[1:]) {
			t.Errorf("%s, or what is like it", name)
		}
	}
	for _, name := range []string{"", "\n", "Africa", "Africa/Abidjan\nAfrica/Accra", "Zulu\n", "\nZulu", "zulu", "~"} {
		if KnownZone(name) {
			t.Errorf("%q is known", name)
		}
	}
}
