package assistance

import (
	"fmt"
	"strings"

	"entente/envelope"
	"entente/statement"
)

// Series is the name of the counter of which a request takes its number: KES-PR-2026 for the preservation requests that Kestria
// makes in 2026.
func Series(code, kind string, year int) string { return fmt.Sprintf("%s-%s-%04d", code, kind, year) }

// Number is the n-th of a series: KES-PR-2026-0143.
func Number(series string, n int64) string { return fmt.Sprintf("%s-%04d", series, n) }

// PartyCode is the code of a party in numbers: the first three letters of its English name, in capitals. A name without three
// letters of the English alphabet gives those that it has, and X for each that lacks.
func PartyCode(name string) string {
	var code strings.Builder
	for _, r := range strings.ToUpper(name) {
		if r >= 'A' && r <= 'Z' && code.Len() < 3 {
			code.WriteRune(r)
		}
	}
	return code.String() + strings.Repeat("X", 3-code.Len())
}

// NumberOf is the number on the face of a request, "" if it has none.
func NumberOf(t *statement.Text) string {
	var f face
	if envelope.Unmarshal(t.Face, &f) != nil {
		return ""
	}
	return f.Number
}
