package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// line makes a string that others wrote safe to show in one line: what moves the cursor, changes the direction of
// writing, cannot be seen or is not Unicode is written as its number.
func line(s string) string { return escape(s, false) }

// text is line for texts of several lines: line ends and tabs stay.
func text(s string) string { return escape(strings.ReplaceAll(s, "\r\n", "\n"), true) }

func escape(s string, lines bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteRune(r)
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case lines && (r == '\n' || r == '\t'), r == ' ':
			b.WriteRune(r)
		case !unicode.IsPrint(r), unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			fmt.Fprintf(&b, `\u{%04X}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// columns is how many columns of a terminal a string takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			if !unicode.Is(unicode.Mn, r) {
				n++
			}
		}
	}
	return n
}

// table is rows under a heading, in columns as wide as they need to be. Cells are shown as they are: what others wrote
// goes through line first.
type table struct{ rows [][]string }

func newTable(heading ...string) *table { return &table{rows: [][]string{heading}} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(isolated(cell))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(cell)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// isolated keeps a text that is written from right to left from turning round what stands beside it (first strong isolate, Unicode
// bidirectional algorithm): a figure in the next column stays there.
func isolated(s string) string {
	for _, r := range s {
		if unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko) {
			return "\u2068" + s + "\u2069"
		}
	}
	return s
}

// pair is one line of a list of facts.
func pair(w io.Writer, name, value string) { fmt.Fprintf(w, "%-14s %s\n", name, isolated(value)) }

// instant shows a time, in UTC, so that both sides read the same.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// maybe is instant for a time that may be absent.
func maybe(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return instant(*t)
}

// short is enough of a hash to name it.
func short(h fmt.Stringer) string { return h.String()[:12] }

// names shows names by language: English first, then the others in order.
func names(byLanguage map[string]string) string {
	var parts []string
	if en, ok := byLanguage["en"]; ok {
		parts = append(parts, line(en))
	}
	for _, tag := range sortedKeys(byLanguage) {
		if tag != "en" {
			parts = append(parts, line(byLanguage[tag]))
		}
	}
	return strings.Join(parts, " / ")
}

// size shows bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// more says how a list is read on: with the option and the cursor of the next page, or not at all where that is empty.
func more(w io.Writer, option, next string) {
	if next != "" {
		fmt.Fprintf(w, "\nThere may be more: %s %s\n", option, next)
	}
}
