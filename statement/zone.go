package statement

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"io"
	"strings"
	"time"

	"entente/envelope"
)

// ZonesEdition names the edition of the IANA time-zone data that this build carries. Clocks that count days count them by this
// data on both sides: never by that of the machine.
const ZonesEdition = "2025c"

// The archive is the compiled IANA data of that edition (public domain), stored without compression; the list is its names, sorted.
var (
	//go:embed zones-2025c.zip
	zoneArchive []byte
	//go:embed zones-2025c.txt
	zoneNames string
)

// KnownZone says whether name is a time zone of ZonesEdition. IANA keeps former names as links: an edition only adds names.
func KnownZone(name string) bool {
	for names := zoneNames; names != ""; { // they are sorted, one a line: look in the half where it must be
		start := strings.LastIndexByte(names[:len(names)/2], '\n') + 1
		line, after, _ := strings.Cut(names[start:], "\n")
		switch {
		case line == name:
			return true
		case line < name:
			names = after
		default:
			names = names[:start]
		}
	}
	return false
}

// Zone loads a time zone of ZonesEdition. It reads the archive's directory each time: keep what it returns.
func Zone(name string) (*time.Location, error) {
	if !KnownZone(name) {
		return nil, envelope.Refuse("zone", "%.40q is not a time zone of edition %s", name, ZonesEdition)
	}
	archive, err := zip.NewReader(bytes.NewReader(zoneArchive), int64(len(zoneArchive)))
	if err != nil {
		return nil, envelope.Within("zone", err)
	}
	f, err := archive.Open(name)
	if err != nil {
		return nil, envelope.Within("zone", err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, envelope.Within("zone", err)
	}
	return time.LoadLocationFromTZData(name, data)
}
