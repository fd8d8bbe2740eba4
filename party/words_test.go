package party

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEnglishWords(t *testing.T) {
	words, err := readWords("en")
	if err != nil {
		t.Fatal(err)
	}
	if len(words) != 256 {
		t.Fatalf("%d words", len(words))
	}
	shape := regexp.MustCompile(`^[a-z]{4,10}$`)
	for n, word := range words {
		if !shape.MatchString(word) {
			t.Errorf("%q is not a short word in small letters", word)
		}
		for _, other := range words[:n] {
			if word[:4] == other[:4] {
				t.Errorf("%q and %q begin alike", other, word)
			}
			if distance(word, other) < 2 {
				t.Errorf("%q and %q are one letter apart", other, word)
			}
		}
	}
}

func TestChineseWords(t *testing.T) {
	words, err := readWords("zh")
	if err != nil {
		t.Fatal(err)
	}
	if len(words) != 256 {
		t.Fatalf("%d words", len(words))
	}
	seen := make(map[string]bool)
	for _, word := range words {
		if utf8.RuneCountInString(word) != 2 || strings.ContainsFunc(word, func(c rune) bool { return !unicode.Is(unicode.Han, c) }) {
			t.Errorf("%q is not a word of two characters", word)
		}
		if seen[word] {
			t.Errorf("%q stands twice", word)
		}
		seen[word] = true
	}

	text, err := wordLists.ReadFile("words.zh.txt")
	if err != nil {
		t.Fatal(err)
	}
	spoken := make(map[string]string)
	shape := regexp.MustCompile(`^[a-zü]+ [a-zü]+$`)
	for line := range strings.Lines(string(text)) {
		word, pinyin, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !shape.MatchString(pinyin) {
			t.Errorf("%q has no pinyin of two syllables", line)
		}
		sound := blur(pinyin)
		if other, twice := spoken[sound]; twice {
			t.Errorf("%s and %s sound alike", other, word)
		}
		spoken[sound] = word
	}
}

// blur maps syllables that many speakers do not tell apart to one: zh and z, ch and c, sh and s; n, l and r; f and hu;
// endings in n and ng. Tones are not written at all.
func blur(pinyin string) string {
	syllables := strings.Fields(pinyin)
	for n, s := range syllables {
		for _, pair := range [][2]string{{"zh", "z"}, {"ch", "c"}, {"sh", "s"}, {"l", "n"}, {"r", "n"}, {"hu", "fu"}} {
			if rest, ok := strings.CutPrefix(s, pair[0]); ok {
				s = pair[1] + rest
				break
			}
		}
		if strings.HasSuffix(s, "ng") {
			s = strings.TrimSuffix(s, "g")
		}
		syllables[n] = s
	}
	return strings.Join(syllables, " ")
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
