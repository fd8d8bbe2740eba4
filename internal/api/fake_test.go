package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/accord"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/assistance"
	"entente/internal/casefile"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/internal/member"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

var (
	arvenia = envelope.Sum([]byte("Arvenia"))
	kestria = envelope.Sum([]byte("Kestria"))
	link    = envelope.Sum([]byte("link"))
	said    = envelope.Sum([]byte("said"))
	ourDesk = envelope.Sum([]byte("our desk"))
	desk    = envelope.Sum([]byte("their desk"))
	when    = time.Date(2031, 3, 1, 12, 0, 0, 123456000, time.UTC)
)

// fake is a house and an operator with one link, one statement and two desks. It remembers what it was asked.
type fake struct {
	fail      error // given back by every act
	draft     flow.Draft
	drafts    []flow.FileDraft // the draft's files, read as Send would
	files     []string         // their contents
	filter    exchange.Filter
	listed    member.DraftFilter
	asked     flow.RequestDraft
	requested assistance.Filter
	called    hotline.Filter
	owed      assistance.ObligationFilter
	heldAfter exchange.Hold
	cases     casefile.Filter
	tasks     casefile.TaskFilter
	written   casefile.Entry // what was written last into a case
	title     casefile.Heading
	dues      assistance.DueFilter
	spooled   int           // files in the spool now
	cutShort  bool          // WriteFile fails after it has begun
	arrived   chan struct{} // closed when Send has seen the first byte of a file; may be nil
	alias     string
	chain     party.Chain
	answers   map[string]answered
}

func newFake() *fake {
	return &fake{chain: party.Chain{ID: arvenia, Versions: []party.Identity{{
		Version: 1, Names: map[string]string{"en": "Arvenia", "zh": "阿文尼亚"}, Authority: "Ministry", KeyStorage: "software", NotAfter: when.UnixMicro(),
	}}}}
}

func (f *fake) Self() *party.Chain { return &f.chain }

func (f *fake) Keys(context.Context, actor.Actor) (flow.OwnKeys, error) {
	return flow.OwnKeys{Versions: []flow.KeysView{{Identity: &f.chain.Versions[0], Signs: true, Opens: true}}, Prepared: []byte{1}}, f.fail
}

func (f *fake) Rotate(context.Context, actor.Actor, flow.Renewal) error { return f.fail }

func (f *fake) PrepareRecovery(context.Context, actor.Actor, flow.Renewal) ([]byte, error) {
	return []byte{1}, f.fail
}

func (f *fake) FinishRecovery(context.Context, actor.Actor, [][]byte) error { return f.fail }

func (f *fake) CancelRecovery(context.Context, actor.Actor) error { return f.fail }

func (f *fake) Invite(_ context.Context, _ actor.Actor, alias string, offer statement.Agreement, valid time.Duration) (*flow.Invitation, error) {
	f.alias = alias
	return &flow.Invitation{V: 1, Identity: [][]byte{{1}}, Token: make([]byte, 32), Offer: []byte("{}"), Expires: when.Add(valid).UnixMicro()}, f.fail
}

func (f *fake) Confirm(context.Context, actor.Actor, statement.LinkID, string, string, string, string) (statement.Commitment, error) {
	return said, f.fail
}

func (f *fake) Pack(_ context.Context, _ actor.Actor, _ statement.LinkID, _ bool, w io.Writer) error {
	if f.fail != nil {
		return f.fail
	}
	_, err := io.WriteString(w, "packed")
	return err
}

func (f *fake) Unpack(_ context.Context, _ actor.Actor, r io.Reader, begin func() (io.Writer, error)) error {
	if f.fail != nil {
		return f.fail
	}
	w, err := begin()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

func (f *fake) Agree(context.Context, actor.Actor, statement.LinkID, string, envelope.Hash) (statement.Commitment, error) {
	return envelope.Hash{7}, f.fail
}

func (f *fake) SuspendLanes(context.Context, actor.Actor, statement.LinkID, []statement.Lane, string, string) (statement.Commitment, error) {
	return said, f.fail
}

func (f *fake) ResumeLanes(context.Context, actor.Actor, statement.LinkID, []statement.Lane, string) (statement.Commitment, error) {
	return said, f.fail
}

func (f *fake) Withdraw(context.Context, actor.Actor, statement.LinkID, string, string) (statement.Commitment, error) {
	return said, f.fail
}

func (f *fake) view() flow.LinkView {
	return flow.LinkView{
		Link:      exchange.Link{ID: link, Alias: "kestria", Peer: kestria, Created: when.UnixMicro(), OwnEpoch: 1, PeerEpoch: 2},
		PeerNames: map[string]string{"en": "Kestria"}, State: "active", Digits: "1234 5678 9012",
		WordsEN: []string{"a"}, WordsZH: []string{"甲"}, Agreement: statement.DefaultAgreement(),
		Figures:   exchange.Figures{OldestUnreceipted: when.UnixMicro(), Sending: 2},
		Suspended: []flow.SuspensionView{{Suspension: exchange.Suspension{Lane: statement.Network, Statement: said, Reason: "review", At: when.UnixMicro()}, Ours: true}},
		Withdrawn: []flow.WithdrawalView{{Withdrawal: exchange.Withdrawal{Statement: said, Reason: "withheld"}}},
	}
}

func (f *fake) Links(context.Context, actor.Actor) ([]flow.LinkView, error) {
	return []flow.LinkView{f.view()}, f.fail
}

func (f *fake) FindLink(_ context.Context, _ actor.Actor, name string) (flow.LinkView, error) {
	if f.fail != nil {
		return flow.LinkView{}, f.fail
	}
	if name != "kestria" && name != link.String() {
		return flow.LinkView{}, fault.New(fault.NotFound, "link", "There is no such link.")
	}
	return f.view(), nil
}

func (f *fake) LinkID(ctx context.Context, who actor.Actor, name string) (statement.LinkID, error) {
	v, err := f.FindLink(ctx, who, name)
	return v.ID, err
}

func (f *fake) Desks(context.Context, actor.Actor, *statement.LinkID) ([]flow.DeskView, error) {
	return []flow.DeskView{
		{Link: link, LinkAlias: "kestria", Owner: arvenia, Ours: true, ID: ourDesk, Latest: ourDesk, Active: ourDesk, State: "active", Role: "legal", Standing: "interim",
			ValidFrom: when.UnixMicro(), ValidTo: when.UnixMicro(), Body: &statement.DeskBody{Names: map[string]string{"en": "Legal"}, Zone: "UTC"}},
		{Link: link, LinkAlias: "kestria", Owner: kestria, ID: desk, Latest: said, State: "proposed", Role: "hotline", Standing: "permanent", ValidFrom: when.UnixMicro()},
	}, f.fail
}

func (f *fake) DesksToChange(ctx context.Context, who actor.Actor) ([]flow.DeskView, error) {
	return f.Desks(ctx, who, nil)
}

func (f *fake) Send(_ context.Context, _ actor.Actor, d flow.Draft, p flow.Progress) (statement.Commitment, error) {
	if f.fail != nil {
		return statement.Commitment{}, f.fail
	}
	if err := f.read(d.Files); err != nil {
		return statement.Commitment{}, err
	}
	f.draft = d
	return said, nil
}

// read takes the files of a draft as the house would.
func (f *fake) read(files iter.Seq2[flow.FileDraft, error]) error {
	if files == nil {
		return nil
	}
	for file, err := range files {
		if err != nil {
			return err
		}
		r := file.Content
		if f.arrived != nil {
			first := make([]byte, 1)
			if _, err := io.ReadFull(r, first); err != nil {
				return err
			}
			close(f.arrived)
			r = io.MultiReader(bytes.NewReader(first), r)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		file.Content = nil
		f.drafts, f.files = append(f.drafts, file), append(f.files, string(data))
	}
	return nil
}

func (f *fake) statement() flow.StatementView {
	reply := when.UnixMicro()
	return flow.StatementView{
		Statement: exchange.Statement{Commitment: said, Link: link, Author: kestria, Lane: statement.Network, Seq: 7, Thread: said, Kind: "message", Authored: when.UnixMicro()},
		LinkAlias: "kestria", Parcel: exchange.Parcel{State: exchange.Opened, Received: when.UnixMicro()},
		Text: &statement.Text{Zone: "Asia/Shanghai", Urgency: "routine", ReplyBy: &reply, Marking: handling.Marking{TLP: "AMBER"},
			Face: []byte(`{"from_desk":"x"}`), Refs: []statement.Commitment{desk}},
		Body: []byte(`{"subject":"Hello","language":"en","text":"Hi"}`), Verdict: "folded",
		Files:    []flow.FileView{{Position: 0, Name: "a\u202e\"b.txt", Media: "text/html", Size: 5, State: "stored"}, {Position: 1, State: "waiting"}},
		Erasures: []flow.ErasureView{{ErasureColumn: exchange.ErasureColumn{Notice: desk, Reason: "order", At: when.UnixMicro()}}},
		Receipts: []flow.ReceiptView{{Hash: said, Receipt: parcel.Receipt{V: 1, Kind: parcel.Received, Gaps: []parcel.Gap{{From: 1, To: 2}}}}},
	}
}

func (f *fake) List(_ context.Context, _ actor.Actor, filter exchange.Filter) ([]flow.StatementView, error) {
	f.filter = filter
	return []flow.StatementView{f.statement()}, f.fail
}

func (f *fake) Awaited(context.Context, actor.Actor, *statement.LinkID) ([]flow.StatementView, error) {
	v := f.statement()
	v.Kind, v.Text, v.Body, v.Files, v.Verdict = "", nil, nil, nil, "deferred"
	v.Parcel.State, v.Registered = exchange.Held, &flow.RegisteredView{Parcel: envelope.ID{1}, Acknowledged: when.UnixMicro(), Key: flow.KeyAwaited}
	return []flow.StatementView{v}, f.fail
}

func (f *fake) Show(_ context.Context, _ actor.Actor, c string) (flow.StatementView, error) {
	if f.fail != nil {
		return flow.StatementView{}, f.fail
	}
	if c != said.String() {
		return flow.StatementView{}, fault.New(fault.NotFound, "statement", "There is no such statement.")
	}
	return f.statement(), nil
}

func (f *fake) Erase(_ context.Context, _ actor.Actor, _ string, o flow.EraseOrder) (flow.Erased, error) {
	e := flow.Erased{Statement: said, At: when.UnixMicro()}
	if o.Tell {
		e.Notice = &said
	}
	return e, f.fail
}

func (f *fake) WriteFile(_ context.Context, _ actor.Actor, _ statement.Commitment, _ int, w io.Writer) error {
	if f.cutShort {
		w.Write([]byte("he"))
		return errors.New("the disk is gone")
	}
	_, err := w.Write([]byte("hello"))
	return err
}

func (f *fake) Proof(context.Context, actor.Actor, string, bool) ([]byte, error) {
	return []byte("{}"), f.fail
}

func (f *fake) Ledger(_ context.Context, _ actor.Actor, _ statement.LinkID, p party.ID, epoch uint32, from int64, limit int) ([]flow.LedgerEntry, error) {
	return []flow.LedgerEntry{{Party: p, Leaf: []byte(`{"v":1}`), Index: from, Epoch: epoch}}, f.fail
}

func (f *fake) VerifyLedger(_ context.Context, _ actor.Actor, _ statement.LinkID, p flow.Progress) (*flow.LedgerReport, error) {
	if p != nil {
		p(0, 10)
		p(10, 10)
	}
	return &flow.LedgerReport{
		Logs:        []flow.LogReport{{Party: arvenia, Size: 3, Cosigned: 2, CosignedAt: when.UnixMicro()}},
		Differences: []flow.Difference{{Author: kestria, Kind: "not_sent", Lane: "network", Age: time.Minute}},
	}, f.fail
}

func (f *fake) CommonCut(context.Context, statement.LinkID) (flow.Cut, error) {
	return flow.Cut{Sizes: map[party.ID]int64{arvenia: 3, kestria: 4}}, f.fail
}

func (f *fake) StatusReport(_ context.Context, _ actor.Actor, of statement.LinkID, period accord.Period, cut *flow.Cut) (accord.Report, error) {
	frame := accord.Frame{Link: of, Period: period}
	if cut != nil {
		for p, size := range cut.Sizes {
			frame.Cut = append(frame.Cut, accord.Head{Party: p, Size: size})
		}
	}
	return accord.NewCounting(frame).Report(), f.fail
}

func (f *fake) FoldHash(_ context.Context, _ statement.LinkID, c flow.Cut) (envelope.Hash, int, error) {
	return said, len(c.Sizes), f.fail
}

func (f *fake) Accept(_ context.Context, _ actor.Actor, alias string, _ *flow.Invitation) (statement.LinkID, error) {
	f.alias = alias
	return link, f.fail
}

func (f *fake) PairByFile(_ context.Context, _ actor.Actor, alias string, _ *flow.Invitation) ([]byte, error) {
	f.alias = alias
	return []byte("answer"), f.fail
}

func (f *fake) PairOn(context.Context, actor.Actor, *flow.PairFile) (statement.LinkID, []byte, error) {
	return link, []byte("reveal"), f.fail
}

func (f *fake) LinkMade() {}

func (f *fake) Evidence(context.Context, actor.Actor, *statement.LinkID, int) ([]exchange.Evidence, error) {
	return []exchange.Evidence{{Link: link, Kind: "forked_log", At: when.UnixMicro(), Note: "n", Data: []byte{1}}}, f.fail
}

func (f *fake) Backup(_ context.Context, _ actor.Actor, to string, p flow.Progress) (api.Backup, error) {
	if p != nil {
		p(1, 1)
	}
	return api.Backup{To: to, Bytes: 9, Files: 1}, f.fail
}

func (f *fake) Witnesses(context.Context, actor.Actor, statement.LinkID) (api.Witnessing, error) {
	return api.Witnessing{Origin: "entente/1", Keys: []string{"key"}, Size: 7, Witnesses: []api.Witness{{ID: "w", URL: "https://w.example", Cosigned: 5}}}, f.fail
}

func (f *fake) Doctor(context.Context, actor.Actor) ([]api.Check, error) {
	return []api.Check{{Name: "database", OK: true, Detail: "writable"}}, f.fail
}

// heap is a spooled file in memory, which tests may have.
type heap struct {
	f    *fake
	data []byte
}

func (f *fake) Spool(r io.Reader) (api.Spooled, error) {
	data, err := io.ReadAll(r)
	f.spooled++
	return heap{f, data}, err
}

func (h heap) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.data)), nil }
func (h heap) Remove() error                { h.f.spooled--; return nil }

// journal is a log that a test reads while the server may still write to it.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// serve starts a door over a fake and returns its URL and what it logged.
func serve(t *testing.T, f *fake) (string, *journal) {
	t.Helper()
	logged := &journal{}
	door := api.New(api.Config{
		House: f, Operator: f, Release: "test", Endpoint: "https://arvenia.localhost:7443",
		Actor: func(r *http.Request) (actor.Actor, error) {
			if r.Header.Get("X-Stranger") != "" {
				return actor.Actor{}, fault.New(fault.Forbidden, "stranger", "Nobody knows you.")
			}
			return actor.Actor{Kind: actor.Member, Name: "ada"}, nil
		},
		Now: func() time.Time { return when },
		Log: slog.New(slog.NewTextHandler(logged, nil)),
	})
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	return server.URL, logged
}
