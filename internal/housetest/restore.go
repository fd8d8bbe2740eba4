package housetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/statement"

	"github.com/go-json-experiment/json"
)

// backup is what a backup of a node holds, as it was at one moment.
type backup struct {
	step  int
	rows  map[string][][]any
	blobs map[string][]byte
}

// mostBackups is how many of a node's backups are kept; the first, and the newest.
const mostBackups = 4

// backUp makes a backup of a node, past the weather.
func (w *world) backUp(n *node) {
	b := &backup{step: w.step, rows: map[string][][]any{}, blobs: maps.Clone(n.blobs.kept)}
	w.must(n.sql.Snapshot(context.Background(), func(from *sqlstore.Snapshot) error {
		for _, table := range sqlstore.Tables() {
			err := from.Rows(context.Background(), table, func(cells []any) error {
				b.rows[table.Name] = append(b.rows[table.Name], slices.Clone(cells))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	if n.backups = append(n.backups, b); len(n.backups) > mostBackups {
		n.backups = slices.Delete(n.backups, 1, 2)
	}
	w.note("%s is backed up", n.name)
}

// restore puts a node back to one of its backups, into a fresh directory, and starts it. What only the node itself held of what was
// said since is lost; what the other party holds, or the backup, is not.
func (w *world) restore(n *node) {
	if len(n.backups) == 0 || len(n.stack) > 0 {
		return
	}
	b := n.backups[w.r.IntN(len(n.backups))]
	w.note("%s is restored from the backup of step %d", n.name, b.step)
	w.now = w.now.Add(2 * time.Second)
	sql, err := sqlstore.OpenSQLite(context.Background(), filepath.Join(w.dir(), "entente.db"), 2)
	w.must(err)
	w.t.Cleanup(func() { sql.Close() })
	w.must(sql.Load(context.Background(), func(l *sqlstore.Loader) error {
		for _, table := range sqlstore.Tables() {
			for _, row := range b.rows[table.Name] {
				if err := l.Row(context.Background(), table, row); err != nil {
					return err
				}
			}
		}
		return l.SetMeta(context.Background(), flow.RestoredKey, fmt.Appendf(nil, "%d", n.now().UnixMicro()))
	}))
	if n.outlived(sql) {
		w.note("the backup has what destroyed keys were to sign: its links would only be read")
		w.must(sql.Close())
		return
	}
	w.must(n.sql.Close())
	n.sql, n.store.Store = sql, sql
	n.blobs.kept, n.blobs.partials = maps.Clone(b.blobs), map[envelope.ID]*partialFile{}
	n.troubled = true
	w.out.Restores++
	for _, l := range n.links {
		l.restored = true
	}
	for _, s := range w.said {
		if s.link.a == n || s.link.b == n {
			w.doubt(s)
		}
	}
	n.restart()
}

// outlived says whether something in a store waits to be signed with keys that a node has no more.
func (n *node) outlived(s *sqlstore.Store) (outlived bool) {
	n.w.must(s.View(context.Background(), func(tx flow.Tx) error {
		docs, err := tx.UnsignedDocuments(context.Background(), envelope.Hash{}, 10_000)
		for _, d := range docs {
			var named struct {
				Identity int `json:"identity"`
			}
			if err := json.Unmarshal(d.Payload, &named); err != nil {
				return err
			}
			if _, err := n.keys.SignersOf(named.Identity); err != nil {
				outlived = true
			}
		}
		return err
	}))
	return outlived
}

// doubt notes what of a statement neither side holds now: it may have been on its way, and may yet come or not.
func (w *world) doubt(s *said) {
	ctx := context.Background()
	held, files := false, make([]bool, len(s.files))
	for _, n := range []*node{s.link.a, s.link.b} {
		n.look(func(tx flow.Tx) error {
			if _, err := tx.Statement(ctx, s.c); err == nil {
				held = true
			}
			rows, err := tx.Files(ctx, s.c)
			for _, f := range rows {
				if f.State == "stored" {
					files[f.Position] = true
				}
			}
			return err
		})
	}
	s.doubtful = s.doubtful || !held
	for i, f := range files {
		if !f {
			s.lostFiles = append(s.lostFiles, i)
		}
	}
}

// gone says whether a statement that neither side held for sure is with neither.
func (w *world) gone(s *said) bool {
	if !s.doubtful {
		return false
	}
	found := 0
	for _, n := range []*node{s.link.a, s.link.b} {
		n.look(func(tx flow.Tx) error {
			if _, err := tx.Statement(context.Background(), s.c); err == nil {
				found++
			}
			return nil
		})
	}
	if found == 1 {
		w.fail("#%d is with one side only", s.n)
	}
	return found == 0
}

// checkRestored checks the lanes of a link on which a party opened an epoch: in each lane, epoch after epoch, what was receipted is
// folded, and in the present epochs there is nothing else. It returns how many statements a node's party said.
func (w *world) checkRestored(n *node, l *link) int {
	ctx := context.Background()
	other := l.other(n)
	total := 0
	n.look(func(tx flow.Tx) error {
		row, err := tx.Link(ctx, l.id)
		if err != nil {
			return err
		}
		if row.Catching != exchange.CaughtUp {
			w.fail("%s at %s: it has not caught up (%d)", l.name, n.name, row.Catching)
		}
		lanes, err := tx.LanesOf(ctx, l.id)
		if err != nil {
			return err
		}
		for _, lane := range lanes {
			run, err := tx.ParcelRun(ctx, l.id, lane.Author, lane.Epoch, lane.Lane, 0, 10_000)
			if err != nil {
				return err
			}
			present := row.OwnEpoch
			if lane.Author == other.chain.ID {
				present = row.PeerEpoch
			}
			if lane.Epoch == present && (uint64(len(run)) != lane.Last || lane.Folded != lane.Last) {
				w.fail("%s at %s: %s of epoch %d has %d statements, last %d, folded %d", l.name, n.name, lane.Lane, lane.Epoch, len(run), lane.Last, lane.Folded)
			}
			for _, p := range run {
				if p.Received == 0 { // it may not be said any more
					if p.State != exchange.Refused || p.Verdict != "" || lane.Epoch == present {
						w.fail("%s at %s: %s %d of epoch %d is %s, verdict %q, and nobody receipted it", l.name, n.name, lane.Lane, p.Seq, p.Epoch, p.State, p.Verdict)
					}
					continue
				}
				if p.Verdict == "" || p.Stale {
					w.fail("%s at %s: %s %d of epoch %d is %s (%s), verdict %q, stale %t", l.name, n.name, lane.Lane, p.Seq, p.Epoch, p.State, p.Reason, p.Verdict, p.Stale)
				}
				if lane.Author == n.chain.ID {
					total++
				}
			}
		}
		unsent, err := tx.UnsentReceipts(ctx, l.id, n.chain.ID, 10)
		if len(unsent) > 0 {
			w.fail("%s at %s: %d receipts were never sent", l.name, n.name, len(unsent))
		}
		return err
	})
	return total
}

// openByHand lets an operator open a new epoch, as against a peer that refuses to go on.
func (w *world) openByHand(n *node) {
	l := n.anyLink()
	l.restored = true
	err := n.act("epoch", func(h *flow.House) error {
		_, err := h.OpenEpoch(context.Background(), member(), l.id, "The other party does not answer.")
		return err
	})
	w.note("%s on %s: opens an epoch by hand: %s", n.name, l.name, brief(err))
	n.tolerate("epoch", err)
}

// lapse is a deed of the storm: now and then a backup, a restore, or an epoch by hand.
func (w *world) lapse(n *node) {
	switch k := w.r.IntN(20); {
	case k < 9:
		w.backUp(n)
	case k < 17:
		w.restore(n)
	default:
		w.openByHand(n)
	}
}

// checkAgain finds a statement of a restored link on both sides, with the same verdict, words and files; or with neither, if neither
// held it when a node was restored.
func (w *world) checkAgain(s *said) {
	if w.gone(s) {
		return
	}
	var verdicts []string
	for _, n := range []*node{s.by, s.link.other(s.by)} {
		v, err := n.house.Show(context.Background(), member(), s.c.String())
		if err != nil {
			w.fail("#%d was acknowledged by %s and is not at %s: %v", s.n, s.by.name, n.name, err)
		}
		if n == s.by && (v.Parcel.Received == 0 || v.Verdict == "void:refused") { // it waited to be said again, and may not be said any more
			w.out.Void++
			return
		}
		verdicts = append(verdicts, v.Verdict)
		if len(s.erased) > 0 || strings.HasPrefix(v.Verdict, "void:re") {
			continue
		}
		if s.kind == "message" {
			var body statement.MessageBody
			w.must(envelope.Unmarshal(v.Body, &body))
			if body.Text != s.text || len(v.Files) != len(s.files) {
				w.fail("#%d says something else at %s", s.n, n.name)
			}
		}
		for i, data := range s.files {
			if slices.Contains(s.lostFiles, i) || w.ageAt > 0 && v.Files[i].State != "stored" {
				continue
			}
			var out bytes.Buffer
			if err := n.house.WriteFile(context.Background(), member(), s.c, i, &out); err != nil {
				w.fail("#%d, file %d at %s (%s, %s): %v", s.n, i, n.name, v.Files[i].State, v.Files[i].Reason, err)
			}
			if !bytes.Equal(out.Bytes(), data) {
				w.fail("#%d, file %d is another at %s", s.n, i, n.name)
			}
		}
	}
	if verdicts[0] != verdicts[1] {
		w.fail("#%d (%s) is %q by its author, %q by the other", s.n, s.kind, verdicts[0], verdicts[1])
	}
	if verdicts[0] != "folded" {
		w.out.Void++
	}
}
