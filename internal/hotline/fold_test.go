package hotline_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/hotline"
	"entente/statement"
)

const noon, second = int64(1_800_000_000_000_000), int64(1_000_000)

func turn(t *testing.T, name, kind string, at int64, face map[string]any) statement.Turn {
	t.Helper()
	if face == nil {
		face = map[string]any{}
	}
	data, err := envelope.Marshal(face)
	if err != nil {
		t.Fatal(err)
	}
	return statement.Turn{Text: &statement.Text{Kind: kind, Urgency: "urgent", Authored: at - second, Face: data}, Commitment: envelope.Sum([]byte(name)), Received: at}
}

// thread is both columns; the calling party's is the first.
type thread [2]hotline.Column

// say folds a word of a party that has seen everything, or what seen holds of the other's column.
func (h thread) say(t *testing.T, side int, kind string, seen *thread) (thread, string) {
	t.Helper()
	peer := h[1-side]
	if seen != nil {
		peer = seen[1-side]
	}
	var face map[string]any
	if kind == "hotline.call" {
		face = map[string]any{"level": "desk", "kind": "incident", "to_desk": "d1"}
	}
	next, effects, void := hotline.Fold(h[side], peer, turn(t, fmt.Sprint(side, kind), kind, noon, face))
	if void != nil {
		return h, void.Reason
	}
	if len(effects) != 2 {
		t.Fatalf("%s has the effects %v", kind, effects)
	}
	h[side] = next
	return h, ""
}

func called(t *testing.T) thread {
	t.Helper()
	h, void := thread{}.say(t, 0, "hotline.call", nil)
	if void != "" {
		t.Fatal(void)
	}
	return h
}

func kindNames() []string {
	var names []string
	for _, k := range hotline.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Who may say what, and when: a step is "0" for the calling party or "1" for the other, a kind, and the status or the reason of a void.
func TestFold(t *testing.T) {
	for _, story := range []string{
		"1 acknowledge answered, 1 reply answered, 0 reply answered, 0 stand_down standing, 1 reply standing, 1 stand_down ended",
		"1 acknowledge answered, 1 stand_down standing, 0 stand_down ended, 0 reply stood_down, 1 hand_over stood_down",
		"0 acknowledge other_side, 0 reply not_now, 1 reply not_now, 1 stand_down not_now, 0 call said_before, 1 call said_before",
		"1 hand_over ringing, 1 acknowledge answered, 1 acknowledge not_now, 0 hand_over answered",
		"0 stand_down standing, 1 acknowledge not_now, 1 stand_down ended",
		"0 stand_down standing, 0 reply stood_down, 0 stand_down stood_down, 1 reply standing, 1 hand_over not_now",
		"1 message unknown_kind",
	} {
		h := called(t)
		for i, step := range strings.Split(story, ", ") {
			f := strings.Fields(step)
			kind := "hotline." + f[1]
			if f[1] == "message" {
				kind = f[1]
			}
			next, void := h.say(t, int(f[0][0]-'0'), kind, nil)
			got := void
			if void == "" {
				got = string(hotline.StatusOf(next[0], next[1]))
			}
			if got != f[2] {
				t.Fatalf("%s: step %d gives %s", story, i, got)
			}
			h = next
		}
	}
	if _, void := (thread{}).say(t, 1, "hotline.acknowledge", nil); void != hotline.VoidNoOne {
		t.Errorf("answered before anybody called: %q", void)
	}
	if _, _, void := hotline.Fold(hotline.Column{}, hotline.Column{}, turn(t, "x", "hotline.call", noon, map[string]any{"more": 1})); void == nil || void.Reason != hotline.VoidFace {
		t.Errorf("a face with more: %v", void)
	}
}

// reached are all threads that can come to be when each word has seen all before it.
func reached(t *testing.T) []thread {
	t.Helper()
	key := func(h thread) string {
		return fmt.Sprint(slices.Sorted(maps.Keys(h[0].Said)), slices.Sorted(maps.Keys(h[1].Said)))
	}
	list, seen := []thread{called(t)}, map[string]bool{}
	for i := 0; i < len(list); i++ {
		for side := range 2 {
			for _, kind := range kindNames() {
				next, void := list[i].say(t, side, kind, nil)
				if void == "" && !seen[key(next)] {
					seen[key(next)] = true
					list = append(list, next)
				}
			}
		}
	}
	return list
}

// Every pair of words that can cross is in the table, makes what the table says, in either order, and no row is never played.
func TestCrossingPairs(t *testing.T) {
	played := map[int]bool{}
	for _, before := range reached(t) {
		status := hotline.StatusOf(before[0], before[1])
		for _, a := range kindNames() {
			for _, b := range kindNames() {
				_, voidA := before.say(t, 0, a, nil)
				_, voidB := before.say(t, 1, b, nil)
				if voidA != "" || voidB != "" {
					continue
				}
				i := slices.IndexFunc(hotline.Crossings(), func(c hotline.Crossing) bool { return slices.Contains(c.Calling, a) && slices.Contains(c.Called, b) })
				if i < 0 {
					t.Errorf("%s × %s is not declared", a, b)
					continue
				}
				played[i] = true
				want := hotline.Crossings()[i].Makes
				if want == "" {
					want = status
				}
				for _, first := range []int{0, 1} {
					kinds := [2]string{a, b}
					after, void1 := before.say(t, first, kinds[first], &before)
					after, void2 := after.say(t, 1-first, kinds[1-first], &before)
					if got := hotline.StatusOf(after[0], after[1]); void1 != "" || void2 != "" || got != want {
						t.Errorf("%s × %s, %d first, when %s: %s (%q, %q), want %s", a, b, first, status, got, void1, void2, want)
					}
				}
			}
		}
	}
	for i, c := range hotline.Crossings() {
		if !played[i] {
			t.Errorf("%v × %v never comes to pass", c.Calling, c.Called)
		}
	}
}

// A word changes its author's column alone, and a column does not grow with the thread.
func TestColumns(t *testing.T) {
	h, _ := called(t).say(t, 1, "hotline.acknowledge", nil)
	size := 0
	for n := range 1000 {
		next, _ := h.say(t, 1, "hotline.reply", nil)
		if a, b := encoded(t, next[0]), encoded(t, h[0]); a != b {
			t.Fatalf("a word of the called party changed the caller's column to %s", a)
		}
		if h = next; n == 9 {
			size = len(encoded(t, h[1]))
		}
	}
	if got := len(encoded(t, h[1])); got > size+4 {
		t.Errorf("after 1,000 words the column has %d bytes, after ten %d", got, size)
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	data, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The clock counts from the receipt, by the rules; and a hand-over by the called party makes it ring anew, elsewhere.
func TestClock(t *testing.T) {
	h := called(t)
	rules := statement.DefaultRules()
	for urgency, minutes := range map[string]int64{"emergency": 15, "urgent": 30, "routine": 60} {
		c := *h[0].Call
		c.Urgency = urgency
		if got := hotline.AnswerBy(c, rules); got != noon+minutes*60*second {
			t.Errorf("%s: to be answered %d s after the receipt", urgency, (got-noon)/second)
		}
	}
	if c := (hotline.Call{Urgency: "urgent"}); hotline.AnswerBy(c, rules) != 0 {
		t.Error("a clock counts from no receipt")
	}
	rules.Deadlines = []statement.Deadline{{Step: "ack", Kind: "hotline.call", Urgency: "urgent", Amount: 2, Unit: "days"}}
	if got := hotline.AnswerBy(*h[0].Call, rules); got != noon+48*3600*second {
		t.Errorf("two days are %d s", (got-noon)/second)
	}
	if desk, since := hotline.Rings(h[0], h[1]); desk != "d1" || since != noon {
		t.Errorf("it rings %s since %d", desk, since)
	}
	next, _, void := hotline.Fold(h[1], h[0], turn(t, "over", "hotline.hand_over", noon+60*second, map[string]any{"to_desk": "d2"}))
	if void != nil {
		t.Fatal(void)
	}
	if desk, since := hotline.Rings(h[0], next); desk != "d2" || since != noon+59*second {
		t.Errorf("handed over, it rings %s since %d s", desk, (since-noon)/second)
	}
	if hotline.Changed(h[0], next) != noon+60*second {
		t.Error("the latest word is not the hand-over")
	}
}

// The table of kinds is of the forms that the edition declares for this lane, and the specification's tables are those of the code.
func TestSpecification(t *testing.T) {
	var forms []string
	for _, k := range statement.FormKinds(statement.KindsEdition) {
		if k.Lane == statement.Hotline {
			forms = append(forms, k.Name)
		}
	}
	if !slices.Equal(forms, kindNames()) {
		t.Errorf("the edition has %q, the room %q", forms, kindNames())
	}
	data, err := os.ReadFile("../../docs/spec/hotline.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(names []string) string {
		if len(names) == 0 {
			return "never"
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	words := func(list []hotline.Status) (out []string) {
		for _, s := range list {
			out = append(out, string(s))
		}
		return out
	}
	var rows []string
	for _, k := range hotline.Kinds() {
		if !k.Opens {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", k.Name, code(words(k.Calling)), code(words(k.Called))))
		}
	}
	for _, c := range hotline.Crossings() {
		makes := "as before"
		if c.Makes != "" {
			makes = "`" + string(c.Makes) + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", code(c.Calling), code(c.Called), makes, c.Outcome))
	}
	for _, row := range rows {
		if !strings.Contains(string(data), "\n"+row+"\n") {
			t.Errorf("the specification lacks the row\n%s", row)
		}
	}
}
