package envelope

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzUnsuspicious: what the look at bytes lets pass, the walk over tokens would have let pass too, unless it is no JSON at
// all, which the decoder refuses.
func FuzzUnsuspicious(f *testing.F) {
	for _, s := range []string{
		`{}`, `[[]]`, `"a"`, `null`, `{"a":1,"A":2}`, `{"a":"\"","b":[{"a":1}]}`, `{"a\"":1,"b":"\\"}`, `{"a":{"b":1},"B":2}`,
		`{"k":1,"` + "\u212a" + `":2}`, `[{"a":1},{"A":1}]`, `{"a":"null","b":nul}`, `{"a":[1,"b",{"c":"d"}],"d":"e","D":"f"}`, `}{`, `"\`,
		strings.Repeat(`[`, MaxDepth+1), `{"` + strings.Repeat(`a":1,"b`, maxCompared) + `":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !unsuspicious(data) || !jsontext.Value(data).IsValid() {
			return
		}
		if err := scan(data); err != nil {
			t.Fatalf("%q passes, and is refused: %v", data, err)
		}
	})
}

// TestUnsuspicious: ordinary documents take the short way.
func TestUnsuspicious(t *testing.T) {
	for s, want := range map[string]bool{
		`{"to":"Kestria","n":[1,{"to":"\n"}],"sub":{"to":"a","m":true}}`: true,
		`{"a":1,"A":2}`: false, `{"a":1,"a":2}`: false, `{"a":null}`: false, `{"\u0061":1}`: false, `{"é":1}`: false,
	} {
		if got := unsuspicious([]byte(s)); got != want {
			t.Errorf("%s: got %v, want %v", s, got, want)
		}
	}
}
