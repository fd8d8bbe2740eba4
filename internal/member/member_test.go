package member_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/keyring"
	"entente/internal/member"
	"entente/ledger"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if (err == nil) != (code == "") || err != nil && fault.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
	}
}

func TestCheck(t *testing.T) {
	roles := []actor.Role{actor.Drafter}
	for _, c := range []struct {
		name  string
		roles []actor.Role
		code  string
	}{
		{"anna", roles, ""}, {"a.b-c_9", roles, ""}, {"local", roles, "member_name"}, {"node", roles, "member_name"}, {"Anna", roles, "member_name"},
		{"a", roles, "member_name"}, {"", roles, "member_name"}, {"a/b", roles, "member_name"}, {strings.Repeat("a", 33), roles, "member_name"},
		{"anna", nil, "member_roles"}, {"anna", []actor.Role{"minister"}, "member_roles"}, {"anna", []actor.Role{actor.DPO, actor.DPO}, "member_roles"},
	} {
		wantCode(t, fmt.Sprint(c.name, c.roles), member.Member{Name: c.name, Roles: c.roles}.Check(), c.code)
	}
}

func TestToken(t *testing.T) {
	const now = int64(1_000_000_000)
	year := member.MaxValidity.Microseconds()
	for _, c := range []struct {
		name    string
		scopes  []actor.Scope
		expires int64
		note    string
		code    string
	}{
		{"good", []actor.Scope{actor.ScopeRead}, now + year, "", ""},
		{"no scope", nil, now + 1, "", "token_scopes"},
		{"unknown scope", []actor.Scope{"all"}, now + 1, "", "token_scopes"},
		{"scope twice", []actor.Scope{actor.ScopeRead, actor.ScopeRead}, now + 1, "", "token_scopes"},
		{"over already", []actor.Scope{actor.ScopeRead}, now, "", "token_validity"},
		{"too long", []actor.Scope{actor.ScopeRead}, now + year + 1, "", "token_validity"},
		{"long note", []actor.Scope{actor.ScopeRead}, now + 1, strings.Repeat("n", 201), "note"},
	} {
		token, secret, err := member.NewToken("anna", c.scopes, c.note, now, c.expires)
		wantCode(t, c.name, err, c.code)
		if err != nil {
			continue
		}
		if member.HashToken(secret) != token.Hash || strings.Contains(fmt.Sprint(token), secret) {
			t.Errorf("%s: the secret is not recognised, or kept", c.name)
		}
		wantCode(t, "at its last moment", token.Check(c.expires-1), "")
		wantCode(t, "at its end", token.Check(c.expires), "token")
		token.Revoked = now
		wantCode(t, "revoked", token.Check(now), "token")
	}
	_, one, _ := member.NewToken("anna", []actor.Scope{actor.ScopeRead}, "", now, now+1)
	_, two, _ := member.NewToken("anna", []actor.Scope{actor.ScopeRead}, "", now, now+1)
	if one == two || len(one) < 43 {
		t.Errorf("secrets %q and %q", one, two)
	}
}

func TestPassphrase(t *testing.T) {
	for _, words := range []string{"", "short", strings.Repeat("x", 1025)} {
		_, err := member.NewPassphrase(words)
		wantCode(t, words, err, "passphrase_short")
	}
	words := member.InventPassphrase()
	p, err := member.NewPassphrase(words)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Is(words) || p.Is(words+" ") || (member.Passphrase{}).Is(words) || member.InventPassphrase() == words {
		t.Error("a passphrase is recognised wrongly")
	}
	m := member.Member{Name: "anna"}
	wantCode(t, "without a passphrase", m.Confirming(0), "no_passphrase")
	m.Passphrase = p
	for n := range 5 {
		wantCode(t, "before it is locked", m.Confirming(int64(n)), "")
		m, err = m.Confirmed(false, int64(n))
		wantCode(t, "a wrong one", err, "passphrase")
	}
	wantCode(t, "locked", m.Confirming(5), "locked")
	wantCode(t, "a quarter of an hour later", m.Confirming(4+(15*time.Minute).Microseconds()), "")
	if m, err = m.Confirmed(true, 0); err != nil || m.Failures != 0 {
		t.Errorf("after the right one: %+v, %v", m, err)
	}
	m.Suspended = 1
	wantCode(t, "suspended", m.Confirming(0), "no_passphrase")
	_, err = m.Actor(member.Token{})
	wantCode(t, "acting while suspended", err, "token")
}

// trail is a log of n entries, exported.
type trail struct {
	head    []byte
	entries [][]byte
	x       member.Export
}

func (r trail) bytes() []byte {
	first, _ := envelope.Marshal(r.x)
	return append(bytes.Join(append([][]byte{first}, r.entries...), []byte("\n")), '\n')
}

type signer struct {
	keys  *keyring.Keyring
	chain *party.Chain
}

func newSigner(t testing.TB) signer {
	t.Helper()
	dir := t.TempDir()
	lock := filepath.Join(dir, "key")
	if err := keyring.WriteKeyFile(lock, rand.Reader); err != nil {
		t.Fatal(err)
	}
	keys, _, err := keyring.Create(filepath.Join(dir, "keyring"), keyring.KeyFile(lock), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	env, err := party.Create(keys.Identity(map[string]string{"en": "Arvenia"}, "Ministry", time.Unix(1, 0), time.Hour), keys.Signers()...)
	if err != nil {
		t.Fatal(err)
	}
	data, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := party.Verify(envelope.Default(), [][]byte{data})
	if err != nil {
		t.Fatal(err)
	}
	return signer{keys, chain}
}

// export signs entries as they are.
func (s signer) export(t testing.TB, entries ...member.Entry) trail {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, x := range indexes {
			out = append(out, hashes[x])
		}
		return out, nil
	})
	var out trail
	for n, e := range entries {
		data, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(n), data, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes, out.entries = append(hashes, more...), append(out.entries, data)
	}
	root, err := ledger.TreeRoot(int64(len(entries)), reader)
	if err != nil {
		t.Fatal(err)
	}
	origin := member.Origin(s.chain.ID)
	signers, err := s.keys.LogSigners(1, origin)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ledger.SignCheckpoint(origin, int64(len(entries)), root, signers...)
	if err != nil {
		t.Fatal(err)
	}
	out.head, out.x = c.Note, member.Export{V: 1, Identities: s.chain.Envelopes, Identity: 1, Checkpoint: c.Note}
	return out
}

func some(n int) (es []member.Entry) {
	for i := range n {
		es = append(es, member.Entry{Number: int64(i), At: int64(100 + i), Who: "anna", Act: "send", Object: fmt.Sprint(i)})
	}
	return es
}

// TestAdminDeletesRow: whatever is done to an exported log, or to the log before it is exported, does not pass for the log.
func TestAdminDeletesRow(t *testing.T) {
	s := newSigner(t)
	whole := s.export(t, some(13)...)
	found, err := member.VerifyExport(envelope.Default(), bytes.NewReader(whole.bytes()), nil)
	if err != nil || found.Entries != 13 || found.First != 100 || found.Last != 112 || found.Party != s.chain.ID {
		t.Fatalf("the log as it is: %+v, %v", found, err)
	}
	kept := s.export(t, some(8)...).head
	if _, err := member.VerifyExport(envelope.Default(), bytes.NewReader(whole.bytes()), kept); err != nil {
		t.Errorf("the log continues the checkpoint of its first 8 entries, but: %v", err)
	}
	rewritten := some(13)
	rewritten[3].Who = "ben"
	backwards := some(13)
	backwards[5].At = 1
	other := newSigner(t)
	for _, c := range []struct {
		name   string
		log    trail
		spoil  func(*trail)
		before []byte
	}{
		{"a line changed", whole, func(r *trail) { r.entries[4] = bytes.Replace(r.entries[4], []byte("anna"), []byte("anne"), 1) }, nil},
		{"a line left out", whole, func(r *trail) { r.entries = append(r.entries[:6:6], r.entries[7:]...) }, nil},
		{"the last line left out", whole, func(r *trail) { r.entries = r.entries[:12] }, nil},
		{"a line more", whole, func(r *trail) { r.entries = append(r.entries[:13:13], r.entries[12]) }, nil},
		{"two lines swapped", whole, func(r *trail) { r.entries[1], r.entries[2] = r.entries[2], r.entries[1] }, nil},
		{"another encoding of a line", whole, func(r *trail) { r.entries[0] = append([]byte(" "), r.entries[0]...) }, nil},
		{"a line that is no entry", whole, func(r *trail) { r.entries[0] = []byte("{}") }, nil},
		{"a time that runs back", s.export(t, backwards...), nil, nil},
		{"rewritten and signed anew", s.export(t, rewritten...), nil, kept},
		{"cut and signed anew", s.export(t, some(5)...), nil, kept},
		{"the head of another", whole, func(r *trail) { r.x.Checkpoint = other.export(t, some(13)...).head }, nil},
		{"an identity version that is not there", whole, func(r *trail) { r.x.Identity = 2 }, nil},
		{"no identity", whole, func(r *trail) { r.x.Identities = nil }, nil},
		{"another edition", whole, func(r *trail) { r.x.V = 2 }, nil},
		{"a checkpoint of another party", whole, nil, other.export(t, some(8)...).head},
	} {
		log := c.log
		log.entries = append([][]byte(nil), log.entries...)
		if c.spoil != nil {
			c.spoil(&log)
		}
		_, err := member.VerifyExport(envelope.Default(), bytes.NewReader(log.bytes()), c.before)
		wantCode(t, c.name, err, "audit_export")
	}
	_, err = member.VerifyExport(envelope.Default(), strings.NewReader(""), nil)
	wantCode(t, "nothing", err, "audit_export")
}

func FuzzDecodeEntry(f *testing.F) {
	for _, e := range some(2) {
		data, _ := e.Encode()
		f.Add(data)
	}
	f.Add([]byte(`{"v":1,"number":-1,"at":0,"who":"","act":"","object":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := member.DecodeEntry(data)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q was taken, and is written as %q (%v)", data, again, err)
		}
	})
}

func FuzzVerifyExport(f *testing.F) {
	whole := newSigner(f).export(f, some(3)...)
	f.Add(whole.bytes(), []byte(nil))
	f.Add([]byte("{}\n{}\n"), []byte("x"))
	f.Fuzz(func(t *testing.T, data, before []byte) {
		found, err := member.VerifyExport(envelope.Default(), bytes.NewReader(data), before)
		if err == nil && !bytes.HasPrefix(data, whole.bytes()[:20]) {
			t.Fatalf("%+v was found in what nobody signed", found)
		}
	})
}

func TestFit(t *testing.T) {
	e := member.Entry{Who: strings.Repeat("ü", 100), Act: "a\xff", Object: strings.Repeat("x", 10_000)}.Fit()
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := member.DecodeEntry(data); err != nil || back.Who != e.Who || len(e.Who) > 64 {
		t.Errorf("%+v, %v", back, err)
	}
}
