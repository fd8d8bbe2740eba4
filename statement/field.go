package statement

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"entente/envelope"
)

// MaxInteger is the largest integer that every JSON reader reads alike, 2^53 − 1. As a time it is in the year 2255.
const MaxInteger = 1<<53 - 1

const maxFileName = 255 // bytes

var (
	codePattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	kindPattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,2}$`)
	editionPattern  = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,3}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3})){0,2}$`)
	mediaPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$`)
	mailPattern     = regexp.MustCompile(`^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,189}$`)
	phonePattern    = regexp.MustCompile(`^\+?[0-9][0-9 ().-]{2,31}$`)
	devicePattern   = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])[ ]*(\..*)?$`)
)

// checkTime takes UTC microseconds after 1970 that every reader reads alike.
func checkTime(where string, t int64) error {
	if t <= 0 || t > MaxInteger {
		return envelope.Refuse(where, "%d is not a time in UTC microseconds", t)
	}
	return nil
}

// oneOf takes a code of a closed list.
func oneOf(where, code string, list ...string) error {
	if !slices.Contains(list, code) {
		return envelope.Refuse(where, "%.40q is none of %s", code, strings.Join(list, ", "))
	}
	return nil
}

// CheckLanguage takes a language tag of BCP 47 in its canonical case: language, script, region and at most two variants. The
// form alone is checked, so that a register's next edition changes nothing here.
func CheckLanguage(tag string) error {
	if !languagePattern.MatchString(tag) {
		return envelope.Refuse("language", "%.40q is not a language tag", tag)
	}
	return nil
}

// CheckLine takes one line that people read: UTF-8 of 1 to max bytes, without control characters, line or paragraph separators
// and direction controls, and without space at either end.
func CheckLine(s string, max int) error {
	switch {
	case s == "":
		return envelope.Refuse("", "is empty")
	case len(s) > max:
		return envelope.Refuse("", "is over %d bytes", max)
	case !utf8.ValidString(s):
		return envelope.Refuse("", "is not UTF-8")
	case s != strings.TrimSpace(s):
		return envelope.Refuse("", "begins or ends with space")
	}
	for _, r := range s {
		if isControl(r) || isDirection(r) || isInvisible(r) {
			return envelope.Refuse("", "holds the character %U", r)
		}
	}
	return nil
}

// CheckProse takes text of several lines: UTF-8 of 1 to max bytes. Lines end with a line feed alone. Tabs, and the marks and
// isolates that right-to-left writing needs, are allowed; embeddings and overrides, which can make a line read otherwise than it
// is written, are not.
func CheckProse(s string, max int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return envelope.Refuse("", "is empty")
	case len(s) > max:
		return envelope.Refuse("", "is over %d bytes", max)
	case !utf8.ValidString(s):
		return envelope.Refuse("", "is not UTF-8")
	}
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
		case isControl(r) || isInvisible(r) || r >= 0x202A && r <= 0x202E:
			return envelope.Refuse("", "holds the character %U", r)
		}
	}
	return nil
}

// CheckFileName takes a name that is safe to show and that every common file system can store: at most 255 bytes of UTF-8
// without control or direction characters, path separators and the other characters that one of them reserves; not "." or "..",
// not a device name, with no space or dot at its end. A file is stored under its digest whatever its name is; the name is for
// people, and for the day on which one of them saves it.
func CheckFileName(name string) error {
	if err := CheckLine(name, maxFileName); err != nil {
		return err
	}
	switch {
	case strings.ContainsAny(name, `/\:*?"<>|`):
		return envelope.Refuse("", `holds one of / \ : * ? " < > |`)
	case name == "." || name == "..":
		return envelope.Refuse("", "is a directory")
	case strings.HasSuffix(name, "."):
		return envelope.Refuse("", "ends with a dot")
	case devicePattern.MatchString(name):
		return envelope.Refuse("", "is the name of a device")
	}
	return nil
}

// isControl: C0, DEL, C1, line and paragraph separator. The sets are spelt out, so that they do not grow with the toolchain.
func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7F && r <= 0x9F || r == 0x2028 || r == 0x2029
}

// isDirection: the direction controls of the Unicode bidirectional algorithm.
func isDirection(r rune) bool {
	return r == 0x061C || r == 0x200E || r == 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// isInvisible: characters that show nothing and mean nothing in running text: soft hyphen, zero-width space, word joiner and
// invisible operators, byte order mark, annotation marks, deprecated format characters, tags, and the noncharacters of the BMP.
// The zero-width joiner and non-joiner stay, since Persian and the Indic scripts are written with them.
func isInvisible(r rune) bool {
	return r == 0x00AD || r == 0x200B || r >= 0x2060 && r <= 0x2064 || r >= 0x206A && r <= 0x206F || r == 0xFEFF ||
		r >= 0xFFF9 && r <= 0xFFFB || r >= 0xE0000 && r <= 0xE007F || r >= 0xFDD0 && r <= 0xFDEF || r == 0xFFFE || r == 0xFFFF
}
