package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/internal/store"
	"entente/internal/store/blobstore"
	"entente/internal/testenv"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func now() time.Time { return time.Unix(1_800_000_000, 0) }

func open(t testing.TB, url, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url, dir, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func update(t testing.TB, s *store.Store, f func(ctx context.Context, tx flow.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := s.Update(ctx, flow.Normal, func(tx flow.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func putBlob(t testing.TB, s *store.Store, data []byte) string {
	t.Helper()
	w, err := s.Blobs().Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	digest := blobstore.NewDigest()
	digest.Write(data)
	if err := w.Commit(digest.Name()); err != nil {
		t.Fatal(err)
	}
	return digest.Name()
}

func hash(s string) envelope.Hash { return envelope.Sum([]byte(s)) }

func id(n byte) envelope.ID { return envelope.ID{15: n} }

const (
	secret       = "sealed for us by the peer"
	statementKey = "the wrapped key of a statement"
	askedNumber  = "ARV-PR-2026-0143"
)

// fill puts something into every table, and returns the names of the blobs that a backup must hold and of the one
// that it must not.
func fill(t testing.TB, s *store.Store) (kept [2]string, dropped string) {
	t.Helper()
	kept[0] = putBlob(t, s, bytes.Repeat([]byte("at rest"), 100_000))
	kept[1] = putBlob(t, s, []byte("sealed for the peer"))
	dropped = putBlob(t, s, []byte(secret+", and large"))
	own, peer, link := hash("arvenia"), hash("kestria"), hash("link")
	update(t, s, func(ctx context.Context, tx flow.Tx) error {
		parcel := func(n byte, p exchange.Parcel) exchange.Parcel {
			p.ID, p.Link, p.Lane, p.Seq, p.File, p.Header = id(n), link, statement.Dialogue, uint64(n), -1, hash(string(n))
			return p
		}
		errs := []error{
			tx.SetMeta(ctx, "a key", []byte{0, 1, 2}),
			tx.PutIdentity(ctx, peer, 1, []byte("identity")),
			tx.PutLink(ctx, exchange.Link{ID: link, Alias: "kestria", Peer: peer, Agreement: []byte("{}"), OwnEpoch: 1, PeerEpoch: 1}),
			tx.PutInvitation(ctx, exchange.Invitation{TokenHash: hash("token"), State: "open"}),
			tx.PutLane(ctx, exchange.LaneState{Link: link, Author: own, Epoch: 1, Lane: statement.Dialogue, Last: 2}),
			tx.PutParcels(ctx,
				parcel(1, exchange.Parcel{Author: own, State: exchange.Sending, Content: []byte("sealed for the peer, and small"), Verdict: "äöü 中文"}),
				parcel(2, exchange.Parcel{Author: own, State: exchange.Sending, Blob: kept[1], NextTry: -5}),
				parcel(3, exchange.Parcel{Author: peer, State: exchange.Received, Content: []byte(secret)}),
				parcel(4, exchange.Parcel{Author: peer, State: exchange.Received, Blob: dropped})),
			tx.PutReceipts(ctx, exchange.Receipt{Hash: hash("receipt"), Link: link, Author: own, Unsent: true}),
			tx.PutStatements(ctx, exchange.Statement{Commitment: hash("statement"), Link: link, Author: own, Thread: hash("statement"), Text: []byte("{}")}),
			tx.PutBodies(ctx, exchange.Body{Commitment: hash("statement"), Sealed: []byte("sealed body"), Key: []byte(statementKey)}),
			tx.PutFiles(ctx, exchange.File{Statement: hash("statement"), Link: link, Size: 5, State: "stored", Blob: kept[0], FLOE: []byte{9}}),
			tx.PutAsked(ctx, assistance.Asking{Mark: hash("mark"), Thread: hash("statement"), Number: askedNumber, At: 5}),
			tx.PutColumns(ctx, exchange.Column{Link: link, Thread: hash("statement"), Author: own, Epoch: 1, Seq: 1, Room: "message", Data: []byte("{}")}),
			tx.PutLog(ctx, exchange.Log{Link: link, Party: own, Epoch: 1, Size: 300, CosignedNote: []byte("note")}),
			tx.PutDocuments(ctx, exchange.Document{Hash: hash("doc"), Type: "t", Payload: []byte("p"), Signatures: []envelope.Signature{{KeyID: "k", Sig: []byte{1}}}},
				exchange.Document{Hash: hash("unsigned"), Type: "t"}),
			tx.PutEvidence(ctx, exchange.Evidence{Link: link, Kind: "fork", Data: []byte("bytes")}),
			tx.PutEntries(ctx, member.Entry{At: 1, Who: "operator", Act: "backup", Hashes: []byte{1}}),
			tx.PutMember(ctx, member.Member{Name: "anna", Roles: []actor.Role{actor.Drafter}, Passphrase: member.Passphrase{Salt: []byte{1}, Key: []byte{2}}}),
			tx.PutToken(ctx, member.Token{ID: "abc", Member: "anna", Scopes: []actor.Scope{actor.ScopeSay}}),
		}
		var leaves []exchange.LeafRow
		for n := range int64(3000) { // more than one frame
			leaves = append(leaves, exchange.LeafRow{Index: n, Leaf: bytes.Repeat([]byte{byte(n)}, 200), Doc: hash("doc"), Kind: "sent", Hashes: make([]byte, 32)})
		}
		return errors.Join(append(errs, tx.AppendLeaves(ctx, link, own, 1, leaves))...)
	})
	return kept, dropped
}

func backup(t testing.TB, s *store.Store) (data, keys []byte, summary *store.Summary) {
	t.Helper()
	var d, k bytes.Buffer
	summary, err := s.Backup(context.Background(), &d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BackupKeys(context.Background(), &k); err != nil {
		t.Fatal(err)
	}
	return d.Bytes(), k.Bytes(), summary
}

// kinds are the databases, by name; the URL of one that is empty.
func kinds(t *testing.T, run func(t *testing.T, fresh func(testing.TB) *store.Store)) {
	t.Run("sqlite", func(t *testing.T) {
		run(t, func(t testing.TB) *store.Store { return open(t, "", t.TempDir()) })
	})
	t.Run("postgres", func(t *testing.T) {
		testenv.Postgres(t)
		run(t, func(t testing.TB) *store.Store { return open(t, testenv.Postgres(t), t.TempDir()) })
	})
}

func TestBackupAndRestore(t *testing.T) {
	kinds(t, func(t *testing.T, source func(testing.TB) *store.Store) {
		s := source(t)
		kept, dropped := fill(t, s)
		data, keys, summary := backup(t, s)
		for _, hidden := range []string{secret, statementKey, askedNumber} {
			if bytes.Contains(data, []byte(hidden)) {
				t.Errorf("the backup holds %q", hidden)
			}
		}
		if !bytes.Contains(keys, []byte(statementKey)) {
			t.Error("the backup of keys lacks the key")
		}
		if summary.Rows["leaves"] != 3000 || summary.Rows["parcels"] != 4 || summary.Rows["parcel_contents"] != 1 || summary.Blobs != 2 || len(summary.Missing) != 0 {
			t.Errorf("summary %+v", summary)
		}
		for name, b := range map[string][]byte{"data": data, "keys": keys} {
			got, err := store.VerifyBackup(bytes.NewReader(b), nil)
			if err != nil || got.Content != name || got.Time != now().UnixMicro() {
				t.Errorf("VerifyBackup of %s: %+v, %v", name, got, err)
			}
			if name == "data" {
				if d := cmp.Diff(summary, got, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("summary (-written +read):\n%s", d)
				}
			}
		}
		kinds(t, func(t *testing.T, target func(testing.TB) *store.Store) {
			restored := target(t)
			if _, err := restored.Restore(t.Context(), bytes.NewReader(data), bytes.NewReader(keys), nil); err != nil {
				t.Fatal(err)
			}
			checkRestored(t, restored, kept, dropped)
			_, _, again := backup(t, restored)
			again.Rows["meta"]-- // the mark
			if d := cmp.Diff(summary.Rows, again.Rows); d != "" || again.Bytes != summary.Bytes {
				t.Errorf("a backup of what was restored (-first +second):\n%s", d)
			}
			if _, err := restored.Restore(t.Context(), bytes.NewReader(data), nil, nil); fault.KindOf(err) != fault.Conflict {
				t.Errorf("a second restore: %v, want a conflict", err)
			}
			checkRestored(t, restored, kept, dropped)
		})
	})
}

func checkRestored(t *testing.T, s *store.Store, kept [2]string, dropped string) {
	t.Helper()
	err := s.View(t.Context(), func(tx flow.Tx) error {
		ctx := t.Context()
		mark, err := tx.Meta(ctx, flow.RestoredKey)
		if want := strconv.FormatInt(now().UnixMicro(), 10); err != nil || string(mark) != want {
			t.Errorf("mark of the restore %q, %v, want %s", mark, err, want)
		}
		if sealed, key, err := tx.Body(ctx, hash("statement")); err != nil || string(sealed) != "sealed body" || string(key) != statementKey {
			t.Errorf("body %q, %q, %v", sealed, key, err)
		}
		asked := assistance.Asking{Mark: hash("mark"), Thread: hash("statement"), Number: askedNumber, At: 5}
		if rows, err := tx.Asked(ctx, asked.Mark, 9); err != nil || !slices.Equal(rows, []assistance.Asking{asked}) {
			t.Errorf("the index of what was asked: %+v, %v", rows, err)
		}
		due, err := tx.DueParcels(ctx, hash("link"), hash("arvenia"), 0, 10)
		if err != nil || len(due) != 2 || due[0].Verdict != "äöü 中文" || due[0].Content == nil || due[1].NextTry != -5 {
			t.Errorf("parcels to send: %+v, %v", due, err)
		}
		if theirs, err := tx.Parcel(ctx, id(3)); err != nil || theirs.Content != nil {
			t.Errorf("the peer's parcel: %+v, %v, want it without content", theirs, err)
		}
		if doc, err := tx.Document(ctx, hash("unsigned")); err != nil || doc.Signatures != nil {
			t.Errorf("an unsigned document: %+v, %v", doc, err)
		}
		if err := tx.PutEntries(ctx, member.Entry{}); err == nil {
			t.Error("a View wrote")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range kept {
		b, err := s.Blobs().Open(t.Context(), name)
		if err != nil {
			t.Errorf("blob: %v", err)
			continue
		}
		digest := blobstore.NewDigest()
		_, err = io.Copy(digest, io.NewSectionReader(b, 0, b.Size()))
		if err = errors.Join(err, b.Close()); err != nil || digest.Name() != name {
			t.Errorf("blob %s: %v", name, err)
		}
	}
	if _, err := s.Blobs().Open(t.Context(), dropped); fault.KindOf(err) != fault.NotFound {
		t.Errorf("what the peer had sealed for us: %v, want it gone", err)
	}
	h, err := s.Check(t.Context(), nil)
	if err != nil || h.Blobs != 2 || len(h.Damaged) != 0 || len(h.Missing) != 1 || h.Missing[0] != dropped {
		t.Errorf("Check: %+v, %v, want the peer's blob missing and nothing else", h, err)
	}
}

// TestErasureReachesBackups: with the keys of after the erasure, a data backup of before it gives no body.
func TestErasureReachesBackups(t *testing.T) {
	s := open(t, "", t.TempDir())
	fill(t, s)
	before, _, _ := backup(t, s)
	update(t, s, func(ctx context.Context, tx flow.Tx) error { return tx.EraseBody(ctx, hash("statement"), 7) })
	_, keys, _ := backup(t, s)
	restored := open(t, "", t.TempDir())
	if _, err := restored.Restore(t.Context(), bytes.NewReader(before), bytes.NewReader(keys), nil); err != nil {
		t.Fatal(err)
	}
	err := restored.View(t.Context(), func(tx flow.Tx) error {
		if _, key, err := tx.Body(t.Context(), hash("statement")); fault.KindOf(err) != fault.NotFound || key != nil {
			t.Errorf("the body of an erased statement: key %q, %v", key, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDamagedBackup: every kind of damage is refused, by VerifyBackup and by Restore, which keeps nothing.
func TestDamagedBackup(t *testing.T) {
	source := open(t, "", t.TempDir())
	fill(t, source)
	data, keys, _ := backup(t, source)
	cases := map[string][]byte{
		"empty": nil, "keys as data": keys, "something follows": append(bytes.Clone(data), 0),
		"twice": append(bytes.Clone(data), data...), "other magic": append([]byte("entente backup 2\n"), data[17:]...),
	}
	for _, at := range []int{5, 17, 18, 22, 30, 60, 500, len(data) / 4, len(data) / 2, len(data) - 700_000, len(data) - 40, len(data) - 1} {
		flipped := bytes.Clone(data)
		flipped[at] ^= 1
		cases["flipped at "+strconv.Itoa(at)] = flipped
		cases["cut at "+strconv.Itoa(at)] = data[:at]
	}
	huge := bytes.Clone(data)
	copy(huge[18:22], []byte{0xff, 0xff, 0xff, 0xff})
	cases["a frame of 4 GiB"] = huge

	target := open(t, "", t.TempDir())
	for name, damaged := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := store.VerifyBackup(bytes.NewReader(damaged), nil); name != "keys as data" && fault.KindOf(err) != fault.Invalid {
				t.Errorf("VerifyBackup: %v, want a fault of kind %s", err, fault.Invalid)
			}
			if _, err := target.Restore(t.Context(), bytes.NewReader(damaged), bytes.NewReader(keys), nil); fault.KindOf(err) != fault.Invalid {
				t.Errorf("Restore: %v, want a fault of kind %s", err, fault.Invalid)
			}
		})
	}
	if _, err := target.Restore(t.Context(), bytes.NewReader(data), bytes.NewReader(data), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("data as keys: %v, want a fault of kind %s", err, fault.Invalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := target.Restore(ctx, bytes.NewReader(data), bytes.NewReader(keys), func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("Restore, cancelled: %v", err)
	}
	// After all of that the target is still empty: it takes the whole one.
	if _, err := target.Restore(t.Context(), bytes.NewReader(data), bytes.NewReader(keys), nil); err != nil {
		t.Errorf("Restore of the undamaged backup: %v", err)
	}
}

func TestBackupNamesMissingBlobs(t *testing.T) {
	s := open(t, "", t.TempDir())
	kept, _ := fill(t, s)
	if err := s.Blobs().Remove(t.Context(), kept[1]); err != nil {
		t.Fatal(err)
	}
	data, _, summary := backup(t, s)
	if len(summary.Missing) != 1 || summary.Missing[0] != kept[1] || summary.Blobs != 1 {
		t.Errorf("summary: %d blobs, missing %v", summary.Blobs, summary.Missing)
	}
	if got, err := store.VerifyBackup(bytes.NewReader(data), nil); err != nil || len(got.Missing) != 1 {
		t.Errorf("VerifyBackup: %+v, %v", got, err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "", dir)
	kept, _ := fill(t, s)
	path := filepath.Join(dir, "blobs", "blobs", kept[0][:2], kept[0])
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := s.Check(t.Context(), nil)
	if err != nil || h.Blobs != 3 || len(h.Damaged) != 1 || h.Damaged[0] != kept[0] {
		t.Errorf("Check: %+v, %v", h, err)
	}
	if _, err := s.Backup(t.Context(), io.Discard, nil); fault.CodeOf(err) != "blob_damaged" {
		t.Errorf("Backup of a damaged blob: %v, want blob_damaged", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "sqlite:"+filepath.Join(dir, "elsewhere ?#%.db"), dir)
	if _, err := os.Stat(filepath.Join(dir, "elsewhere ?#%.db")); err != nil {
		t.Errorf("the database file: %v", err)
	}
	if _, err := store.Open(t.Context(), "", dir, store.Options{Now: now}); fault.KindOf(err) != fault.Conflict || fault.CodeOf(err) != "locked" {
		t.Errorf("a second Open: %v, want locked", err)
	}
	update(t, s, func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", []byte("v")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, "sqlite:"+filepath.Join(dir, "elsewhere ?#%.db"), dir)
	err := again.View(t.Context(), func(tx flow.Tx) error {
		if v, err := tx.Meta(t.Context(), "k"); err != nil || string(v) != "v" {
			t.Errorf("after opening again: %q, %v", v, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, url := range []string{"mysql://x", "sqlite:", "file.db"} {
		if _, err := store.Open(t.Context(), url, t.TempDir(), store.Options{Now: now}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Open(%q): %v, want a fault of kind %s", url, err, fault.Invalid)
		}
	}
}
