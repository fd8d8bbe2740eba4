package exchange_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
	"entente/statement"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAdmit(t *testing.T) {
	for _, c := range []struct {
		contiguous, seq uint64
		want            bool
	}{
		{0, 0, false}, {0, 1, true}, {0, exchange.Window, true}, {0, exchange.Window + 1, false},
		{5, 3, true}, {5, 5 + exchange.Window, true}, {5, 6 + exchange.Window, false}, {5, math.MaxUint64, false},
	} {
		if got := exchange.Admit(c.contiguous, c.seq); got != c.want {
			t.Errorf("after %d, %d is admitted: %v", c.contiguous, c.seq, got)
		}
	}
}

func TestArrive(t *testing.T) {
	many := make([]uint64, 0, 40)
	for i := range uint64(40) {
		many = append(many, 2*i+2)
	}
	for _, c := range []struct {
		name       string
		contiguous uint64
		held       []uint64
		want       uint64
		gaps       []parcel.Gap
	}{
		{"nothing", 0, nil, 0, nil},
		{"in order", 0, []uint64{1, 2, 3}, 3, nil},
		{"out of order, doubled and old", 2, []uint64{5, 3, 4, 4, 1, 2}, 5, nil},
		{"one gap", 0, []uint64{3}, 0, []parcel.Gap{{From: 1, To: 2}}},
		{"two gaps", 1, []uint64{2, 4, 7, 8}, 2, []parcel.Gap{{From: 3, To: 3}, {From: 5, To: 6}}},
		{"a gap filled", 0, []uint64{3, 1, 2}, 3, nil},
	} {
		got, gaps := exchange.Arrive(c.contiguous, c.held)
		if got != c.want || !cmp.Equal(gaps, c.gaps) {
			t.Errorf("%s: contiguous to %d, gaps %v", c.name, got, gaps)
		}
	}
	if _, gaps := exchange.Arrive(0, many); len(gaps) != exchange.MaxGaps || exchange.MaxGaps != parcel.MaxGaps {
		t.Errorf("%d gaps are named", len(gaps))
	}
}

// What Arrive says holds whatever comes: gaps are exactly what is missing, as far as they are named, in a form that a receipt may have.
func TestArriveHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contiguous := rapid.Uint64Range(0, 20).Draw(t, "contiguous")
		held := rapid.SliceOfN(rapid.Uint64Range(1, 60), 0, 40).Draw(t, "held")
		got, gaps := exchange.Arrive(contiguous, held)
		missing := func(seq uint64) bool { return seq > contiguous && !slices.Contains(held, seq) }
		if got < contiguous || missing(got) || !missing(got+1) && slices.Contains(held, got+1) {
			t.Fatalf("contiguous to %d after %d with %v", got, contiguous, held)
		}
		below := got
		for _, g := range gaps {
			if g.From <= below || g.To < g.From {
				t.Fatalf("gap %v after %d", g, below)
			}
			for seq := below + 1; seq <= g.To; seq++ {
				if missing(seq) != (seq >= g.From) {
					t.Fatalf("%d is missing: %v, gaps %v, held %v", seq, missing(seq), gaps, held)
				}
			}
			below = g.To + 1
		}
		for seq := below + 1; len(gaps) < exchange.MaxGaps && len(held) > 0 && seq < slices.Max(held); seq++ {
			if missing(seq) {
				t.Fatalf("%d is missing and in no gap of %v", seq, gaps)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		tries  int
		spread float64
		want   time.Duration
	}{
		{0, 0, exchange.FirstRetry}, {1, 0, exchange.FirstRetry}, {2, 0, time.Second}, {5, 0, 8 * time.Second},
		{10, 0, 256 * time.Second}, {11, 0, exchange.LastRetry}, {19, 0, exchange.LastRetry}, {64, 0, exchange.LastRetry},
		{math.MaxInt, 0, exchange.LastRetry}, {-3, 0, exchange.FirstRetry}, {2, 0.5, 875 * time.Millisecond},
	} {
		if got := exchange.Backoff(c.tries, c.spread); got != c.want {
			t.Errorf("after %d tries with spread %v: %v, want %v", c.tries, c.spread, got, c.want)
		}
	}
	for tries := range 100 {
		for spread := 0.0; spread < 1; spread += 0.1 {
			if got := exchange.Backoff(tries, spread); got < exchange.FirstRetry*3/4 || got > exchange.LastRetry {
				t.Errorf("after %d tries with spread %v: %v", tries, spread, got)
			}
		}
	}
}

func hash(name string) envelope.Hash { return envelope.Sum([]byte(name)) }

// turn is a statement as a fold sees it.
func turn(t testing.TB, kind string, face any, name string) statement.Turn {
	t.Helper()
	data, err := envelope.Marshal(face)
	if err != nil {
		t.Fatal(err)
	}
	return statement.Turn{Text: &statement.Text{Kind: kind, Face: data}, Commitment: hash(name), Received: 42}
}

func deskFace(from, to int64) statement.DeskFace {
	return statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: from, ValidTo: to}
}

func TestFoldDesk(t *testing.T) {
	first := exchange.DeskEdition{Statement: hash("first"), Role: "hotline", Standing: "permanent", ValidFrom: 1}
	owner := exchange.DeskColumn{Owner: true, Editions: []exchange.DeskEdition{first}}
	gone := owner
	gone.Withdrawn = "closed"
	signed := exchange.DeskColumn{Countersigned: []statement.Commitment{hash("first")}}
	for _, c := range []struct {
		name      string
		own, peer exchange.DeskColumn
		kind      string
		face      any
		void      string
	}{
		{"propose", exchange.DeskColumn{}, exchange.DeskColumn{}, "desk.propose", deskFace(1, 0), ""},
		{"update", owner, exchange.DeskColumn{}, "desk.update", deskFace(2, 0), ""},
		{"update another's desk", exchange.DeskColumn{}, owner, "desk.update", deskFace(2, 0), exchange.VoidNotOwner},
		{"update after withdrawal", gone, exchange.DeskColumn{}, "desk.update", deskFace(2, 0), exchange.VoidWithdrawn},
		{"update with another's face", owner, exchange.DeskColumn{}, "desk.update", statement.DeskCountersignFace{Desk: hash("x")}, exchange.VoidFace},
		{"countersign", exchange.DeskColumn{}, owner, "desk.countersign", statement.DeskCountersignFace{Desk: hash("first")}, ""},
		{"countersign twice", signed, owner, "desk.countersign", statement.DeskCountersignFace{Desk: hash("first")}, exchange.VoidTwice},
		{"countersign what was not seen", exchange.DeskColumn{}, owner, "desk.countersign", statement.DeskCountersignFace{Desk: hash("x")}, exchange.VoidUnknown},
		{"countersign one's own", owner, exchange.DeskColumn{}, "desk.countersign", statement.DeskCountersignFace{Desk: hash("first")}, exchange.VoidOwner},
		{"countersign after withdrawal", exchange.DeskColumn{}, gone, "desk.countersign", statement.DeskCountersignFace{Desk: hash("first")}, exchange.VoidWithdrawn},
		{"withdraw", owner, signed, "desk.withdraw", statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]}, ""},
		{"withdraw twice", gone, signed, "desk.withdraw", statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]}, exchange.VoidTwice},
		{"withdraw another's", signed, owner, "desk.withdraw", statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]}, exchange.VoidNotOwner},
		{"another kind", owner, signed, "message", statement.MessageFace{}, exchange.VoidKind},
	} {
		t.Run(c.name, func(t *testing.T) {
			own, peer := clone(t, c.own), clone(t, c.peer)
			next, effects, void := exchange.FoldDesk(own, peer, turn(t, c.kind, c.face, "this"))
			if got := reason(void); got != c.void {
				t.Fatalf("void %q, want %q", got, c.void)
			}
			if !cmp.Equal(own, c.own) || !cmp.Equal(peer, c.peer) {
				t.Error("a fold changed what it read")
			}
			if changed := !cmp.Equal(next, c.own); changed != (c.void == "") || (len(effects) == 0) != (c.void != "") {
				t.Errorf("column changed: %v, effects %v", changed, effects)
			}
		})
	}
}

func reason(v *statement.Void) string {
	if v == nil {
		return ""
	}
	return v.Reason
}

// clone copies through the encoding in which columns are kept.
func clone[C any](t testing.TB, c C) (out C) {
	t.Helper()
	data, err := envelope.Marshal(c)
	if err == nil {
		err = envelope.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDeskStatus(t *testing.T) {
	edition := func(name string, to int64) exchange.DeskEdition {
		return exchange.DeskEdition{Statement: hash(name), ValidTo: to}
	}
	owner := func(withdrawn string, editions ...exchange.DeskEdition) exchange.DeskColumn {
		return exchange.DeskColumn{Owner: true, Editions: editions, Withdrawn: withdrawn}
	}
	signed := func(names ...string) (c exchange.DeskColumn) {
		for _, n := range names {
			c.Countersigned = append(c.Countersigned, hash(n))
		}
		return c
	}
	for _, c := range []struct {
		name           string
		owner, other   exchange.DeskColumn
		state          string
		active, latest string
	}{
		{"proposed", owner("", edition("1", 0)), signed(), exchange.DeskProposed, "", "1"},
		{"active", owner("", edition("1", 0)), signed("1"), exchange.DeskActive, "1", "1"},
		{"updated, old one active", owner("", edition("1", 0), edition("2", 0)), signed("1"), exchange.DeskActive, "1", "2"},
		{"both signed, newest active", owner("", edition("1", 0), edition("2", 0)), signed("2", "1"), exchange.DeskActive, "2", "2"},
		{"expired", owner("", edition("1", 100)), signed("1"), exchange.DeskExpired, "1", "1"},
		{"not expired yet", owner("", edition("1", 101)), signed("1"), exchange.DeskActive, "1", "1"},
		{"withdrawn", owner("closed", edition("1", 0)), signed("1"), exchange.DeskWithdrawn, "1", "1"},
		{"a signature of nothing", owner("", edition("1", 0)), signed("x"), exchange.DeskProposed, "", "1"},
	} {
		state, active, latest := exchange.DeskStatus(c.owner, c.other, 100)
		name := func(e exchange.DeskEdition) string {
			for _, n := range []string{"1", "2"} {
				if e.Statement == hash(n) {
					return n
				}
			}
			return ""
		}
		if state != c.state || name(active) != c.active || name(latest) != c.latest {
			t.Errorf("%s: %s, active %q, latest %q", c.name, state, name(active), name(latest))
		}
	}
}

func TestFoldLink(t *testing.T) {
	confirm := statement.LinkConfirmFace{Method: "telephone", At: 7, Agreement: hash("offer")}
	confirmed, _, void := exchange.FoldLink(exchange.LinkColumn{}, exchange.LinkColumn{}, turn(t, "link.confirm", confirm, "c"))
	if void != nil || confirmed.Confirmed == nil || confirmed.Confirmed.At != 7 || !slices.Equal(confirmed.Agreed, []envelope.Hash{hash("offer")}) {
		t.Fatalf("confirming: %+v, %v", confirmed, void)
	}
	for _, c := range []struct {
		name, kind string
		face       any
		void       string
	}{
		{"confirmed twice", "link.confirm", confirm, exchange.VoidTwice},
		{"agreed again", "link.agree", statement.LinkAgreeFace{Agreement: hash("offer")}, exchange.VoidTwice},
		{"agreed to another", "link.agree", statement.LinkAgreeFace{Agreement: hash("next")}, ""},
		{"a test", "test", statement.EmptyBody{}, ""},
		{"another kind", "message", statement.MessageFace{}, exchange.VoidKind},
		{"another face", "link.agree", confirm, exchange.VoidFace},
	} {
		before := clone(t, confirmed)
		_, _, void := exchange.FoldLink(confirmed, exchange.LinkColumn{}, turn(t, c.kind, c.face, "x"))
		if got := reason(void); got != c.void || !cmp.Equal(before, confirmed) {
			t.Errorf("%s: void %q", c.name, got)
		}
	}
}

func TestLinkStatus(t *testing.T) {
	column := func(confirmed bool, agreed ...string) (c exchange.LinkColumn) {
		if confirmed {
			c.Confirmed = &exchange.LinkConfirmation{}
		}
		for _, a := range agreed {
			c.Agreed = append(c.Agreed, hash(a))
		}
		return c
	}
	smaller := "x"
	if y, x := hash("y"), hash("x"); slices.Compare(y[:], x[:]) < 0 {
		smaller = "y"
	}
	for _, c := range []struct {
		name         string
		ours, theirs exchange.LinkColumn
		state, there string // there: as the peer sees it
		agreement    string
	}{
		{"new", column(false), column(false), exchange.LinkUnverified, exchange.LinkUnverified, ""},
		{"one confirmed", column(true, "o"), column(false), exchange.LinkConfirmedByUs, exchange.LinkConfirmedByPeer, ""},
		{"agreed without confirming", column(true, "o"), column(false, "o"), exchange.LinkConfirmedByUs, exchange.LinkConfirmedByPeer, ""},
		{"both", column(true, "o"), column(true, "o"), exchange.LinkActive, exchange.LinkActive, "o"},
		{"disagreed", column(true, "o"), column(true, "x"), exchange.LinkDisagreed, exchange.LinkDisagreed, ""},
		{"a newer one", column(true, "o", "x"), column(true, "o", "x"), exchange.LinkActive, exchange.LinkActive, "x"},
		{"a newer one of one side", column(true, "o", "x"), column(true, "o"), exchange.LinkActive, exchange.LinkActive, "o"},
		{"crossed, neither signed by both", column(true, "o", "x"), column(true, "o", "y"), exchange.LinkActive, exchange.LinkActive, "o"},
		{"crossed, both signed by both", column(true, "o", "x", "y"), column(true, "o", "y", "x"), exchange.LinkActive, exchange.LinkActive, smaller},
	} {
		state, agreement := exchange.LinkStatus(c.ours, c.theirs)
		there, same := exchange.LinkStatus(c.theirs, c.ours)
		want := envelope.Hash{}
		if c.agreement != "" {
			want = hash(c.agreement)
		}
		if state != c.state || there != c.there || agreement != want || same != want {
			t.Errorf("%s: %s and %s, the same agreement: %v", c.name, state, there, agreement == want && same == want)
		}
	}
}

func TestFoldMessage(t *testing.T) {
	own := exchange.MessageColumn{Count: 3, Last: hash("before"), At: 1}
	next, effects, void := exchange.FoldMessage(own, exchange.MessageColumn{}, turn(t, "message", statement.MessageFace{}, "this"))
	if want := (exchange.MessageColumn{Count: 4, Last: hash("this"), At: 42}); void != nil || next != want || len(effects) != 1 {
		t.Errorf("%+v, %v, %v", next, effects, void)
	}
}

// room is the thread in which a kind stands.
func room(kind string) string {
	prefix, _, _ := strings.Cut(kind, ".")
	if prefix == "participation" {
		return "link"
	}
	return prefix
}

// Every pair of kinds that the two parties can say at the same time in one thread is declared, and no other. Whether a kind can
// be said by a party is asked of the folds, in a thread where all that may precede it was said; one that asks for a confirmed
// link has seen the other party confirm it.
func TestCrossingsAreComplete(t *testing.T) {
	kinds, ok := statement.Kinds(statement.KindsEdition)
	if !ok {
		t.Fatal("no kinds")
	}
	kinds = slices.DeleteFunc(kinds, func(k statement.Kind) bool { // those of requests cross in their own room
		_, form := statement.FormKindOf(statement.KindsEdition, k.Name)
		return form
	})
	first := exchange.DeskEdition{Statement: hash("first")}
	desk := exchange.DeskColumn{Owner: true, Editions: []exchange.DeskEdition{first}}
	suspended := exchange.LinkColumn{Suspended: []exchange.Suspension{{Lane: statement.Network}}}
	network := []statement.Lane{statement.Network}
	faces := map[string]any{
		"message": statement.MessageFace{}, "desk.update": deskFace(1, 0), "desk.countersign": statement.DeskCountersignFace{Desk: hash("first")},
		"desk.withdraw":          statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]},
		"link.confirm":           statement.LinkConfirmFace{Method: "telephone", At: 1, Agreement: hash("o")},
		"link.agree":             statement.LinkAgreeFace{Agreement: hash("a")},
		"participation.suspend":  statement.SuspendFace{Lanes: []statement.Lane{statement.Hotline}, Reason: "review"},
		"participation.resume":   statement.ResumeFace{Lanes: network},
		"participation.withdraw": statement.WithdrawFace{Reason: "ended"},
	}
	can := func(kind string, owner bool) bool {
		x := turn(t, kind, faces[kind], "x")
		var void *statement.Void
		switch {
		case faces[kind] == nil: // a room of its own: both may say it
		case room(kind) == "message":
			_, _, void = exchange.FoldMessage(exchange.MessageColumn{}, exchange.MessageColumn{}, x)
		case room(kind) == "desk" && owner:
			_, _, void = exchange.FoldDesk(desk, exchange.DeskColumn{}, x)
		case room(kind) == "desk":
			_, _, void = exchange.FoldDesk(exchange.DeskColumn{}, desk, x)
		case room(kind) == "link":
			_, _, void = exchange.FoldLink(suspended, exchange.LinkColumn{}, x)
		}
		return void == nil
	}
	declared := map[string]bool{}
	for _, c := range exchange.Crossings() {
		if c.Outcome == "" || declared[c.A+" × "+c.B] {
			t.Errorf("%s × %s is declared twice, or without an outcome", c.A, c.B)
		}
		declared[c.A+" × "+c.B] = true
	}
	found := map[string]bool{}
	for _, a := range kinds {
		for _, b := range kinds {
			if !a.Follows || !b.Follows || room(a.Name) != room(b.Name) || !can(a.Name, true) || !can(b.Name, false) ||
				a.Name == "link.confirm" && !b.Unverified || b.Name == "link.confirm" && !a.Unverified {
				continue
			}
			there, back := a.Name+" × "+b.Name, b.Name+" × "+a.Name
			found[there] = true
			if symmetric := can(b.Name, true) && can(a.Name, false); !declared[there] && !(symmetric && declared[back]) {
				t.Errorf("%s can cross and is not declared", there)
			}
		}
	}
	for pair := range declared {
		if !found[pair] {
			t.Errorf("%s is declared and cannot cross", pair)
		}
	}
}

func TestDeskHasBoundedEditions(t *testing.T) {
	var column exchange.DeskColumn
	for i := range exchange.MaxEditions + 1 {
		kind := "desk.update"
		if i == 0 {
			kind = "desk.propose"
		}
		text := &statement.Text{Kind: kind, Face: jsontext.Value(`{"role":"hotline","standing":"permanent","valid_from":1}`)}
		next, _, void := exchange.FoldDesk(column, exchange.DeskColumn{}, statement.Turn{Text: text, Commitment: envelope.Sum([]byte{byte(i)})})
		if i == exchange.MaxEditions {
			if void == nil || void.Reason != exchange.VoidMany || len(next.Editions) != exchange.MaxEditions {
				t.Errorf("edition %d: %v, %d kept", i+1, void, len(next.Editions))
			}
			return
		}
		if void != nil {
			t.Fatalf("edition %d: %v", i+1, void)
		}
		column = next
	}
}
