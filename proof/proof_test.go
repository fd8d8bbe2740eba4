package proof

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

func codes(r *Report) []Code {
	var out []Code
	for _, f := range r.Facts {
		out = append(out, f.Code)
	}
	return out
}

// TestDisputeVerifierOffline plays the court: it has the file, the verifier, and nothing else.
func TestDisputeVerifierOffline(t *testing.T) {
	s := tell(t, plot{})
	pins := []party.ID{s.arvenia.chain.ID, s.kestria.chain.ID}
	report, err := Verify(envelope.Default(), s.file, pins...)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Code{Identities, Sent, TextShown, BodyShown, FileShown, Received, Arrived, Opened}; !slices.Equal(codes(report), want) {
		t.Errorf("facts %v, want %v", codes(report), want)
	}

	t.Run("sender denies", func(t *testing.T) {
		// Without the sender's signed header, or with one that somebody else signed, nothing is attributed to it.
		f := copyFile(t, s.file)
		f.Header.Envelope = s.kestria.sign(t, parcel.HeaderType, s.headerPayload)
		refused(t, f, "/header/envelope", ErrSignature)
		fact := factOf(t, report, Sent)
		if !strings.Contains(fact.Proves, "Republic of Arvenia") || !strings.Contains(fact.Proves, "cannot deny") {
			t.Errorf("sent proves: %s", fact.Proves)
		}
	})
	t.Run("recipient denies", func(t *testing.T) {
		f := copyFile(t, s.file)
		f.Receipts = nil
		report, err := Verify(envelope.Default(), f)
		if err != nil {
			t.Fatal(err)
		}
		if report.Has(Received) || report.Has(Opened) || report.Has(Arrived) {
			t.Errorf("without a receipt, facts %v", codes(report))
		}
		f = copyFile(t, s.file)
		f.Receipts[0].Envelope = s.arvenia.sign(t, parcel.ReceiptType, must[[]byte](t)(s.received.Encode()))
		refused(t, f, "/receipts/0/envelope", ErrSignature)
	})

	for _, tc := range disputes(t, s) {
		t.Run(tc.name, func(t *testing.T) {
			f := copyFile(t, s.file)
			tc.change(f)
			refused(t, f, tc.part, tc.want)
		})
	}
	if after, err := Verify(envelope.Default(), s.file, pins...); err != nil {
		t.Errorf("the untouched file: %v", err)
	} else if diff := cmp.Diff(report, after); diff != "" {
		t.Errorf("the untouched file: %s", diff)
	}
}

type dispute struct {
	name   string
	change func(*File)
	part   string
	want   error
}

func disputes(t *testing.T, s *story) []dispute {
	other := tell(t, plot{link: "another link"})
	second := tell(t, plot{body: "Please delete them."})
	uncosigned := func(side *side) string { return string(side.checkpoint(t, s.link).Note) }
	ownCosigned := string(s.arvenia.cosign(t, s.arvenia.checkpoint(t, s.link)).Note)
	stranger := newSide(t, "stranger", "Republic of Arvenia")
	return []dispute{
		{"a byte of the text", func(f *File) { f.Statement.Text = flip(f.Statement.Text, 40) }, "/statement/text", ErrCommitment},
		{"a byte of the text's salt", func(f *File) { f.Statement.TextSalt[0] ^= 1 }, "/statement/text", ErrCommitment},
		{"a byte of the body", func(f *File) { f.Statement.Body = flip(f.Statement.Body, 5) }, "/statement/body", ErrCommitment},
		{"a byte of the body's salt", func(f *File) { f.Statement.BodySalt[31] ^= 1 }, "/statement/body", ErrCommitment},
		{"a byte of the file's digest", func(f *File) { f.Statement.Files[0].SHA256[3] ^= 1 }, "/statement/files/0", ErrCommitment},
		{"the file's size", func(f *File) { f.Statement.Files[0].Size++ }, "/statement/files/0", ErrCommitment},
		{"a file more", func(f *File) { f.Statement.Files = append(f.Statement.Files, f.Statement.Files[0]) }, "/statement/files", ErrCommitment},
		{"a byte of the commitment", func(f *File) { f.Statement.Commitment[0] ^= 1 }, "/header/envelope", ErrMismatch},
		{"swapped salts", func(f *File) {
			f.Statement.TextSalt, f.Statement.BodySalt = f.Statement.BodySalt, f.Statement.TextSalt
		}, "/statement/text", ErrCommitment},
		{"body without its salt", func(f *File) { f.Statement.BodySalt = nil }, "/statement/body_salt", ErrFormat},
		{"body without the text", func(f *File) { f.Statement.Text, f.Statement.TextSalt = nil, nil }, "/statement/text", ErrFormat},
		{"another statement's text", func(f *File) {
			f.Statement.Text, f.Statement.TextSalt = second.file.Statement.Text, second.file.Statement.TextSalt
		}, "/statement/text", ErrCommitment},

		{"a byte of the header", func(f *File) {
			f.Header.Envelope = changePayload(t, f.Header.Envelope, `"length":1000`, `"length":1001`)
		}, "/header/envelope", ErrSignature},
		{"a signature stripped", func(f *File) { f.Header.Envelope = strip(t, f.Header.Envelope) }, "/header/envelope", ErrSignature},
		{"another header", func(f *File) { f.Header.Envelope = second.file.Header.Envelope }, "/header/envelope", ErrMismatch},
		{"a byte of the sent leaf", func(f *File) { f.Header.Entry.Leaf = strings.Replace(f.Header.Entry.Leaf, `"time":1`, `"time":2`, 1) }, "/header/entry/path", ErrInclusion},
		{"the sent leaf of another header", func(f *File) { f.Header.Entry = second.file.Header.Entry }, "/header/entry/leaf", ErrLeaf},
		{"the got leaf as the sent one", func(f *File) { f.Header.Entry = *f.Receipts[0].Got }, "/header/entry/leaf", ErrLeaf},
		{"a leaf from another link", func(f *File) {
			f.Header.Entry.Checkpoint = other.file.Header.Entry.Checkpoint
		}, "/header/entry/checkpoint", ErrCheckpoint},
		{"a hash of the path", func(f *File) { f.Header.Entry.Path[0][9] ^= 1 }, "/header/entry/path", ErrInclusion},
		{"a path cut short", func(f *File) { f.Header.Entry.Path = f.Header.Entry.Path[:0] }, "/header/entry/path", ErrInclusion},
		{"the size in the checkpoint", func(f *File) {
			f.Header.Entry.Checkpoint = strings.Replace(f.Header.Entry.Checkpoint, "\n5\n", "\n6\n", 1)
		}, "/header/entry/checkpoint", ErrCheckpoint},
		{"a checkpoint without cosignature", func(f *File) { f.Header.Entry.Checkpoint = uncosigned(s.arvenia) }, "/header/entry/checkpoint", ErrCosignature},
		{"a checkpoint that its own party cosigned", func(f *File) { f.Header.Entry.Checkpoint = ownCosigned }, "/header/entry/checkpoint", ErrCosignature},
		{"a checkpoint of the other's log", func(f *File) { f.Header.Entry.Checkpoint = f.Receipts[0].Out.Checkpoint }, "/header/entry/checkpoint", ErrCheckpoint},

		{"another's identity as the sender's", func(f *File) { f.Sender = stranger.chain.Envelopes }, "/header/envelope", ErrSignature},
		{"another's identity as the recipient's", func(f *File) { f.Recipient = stranger.chain.Envelopes }, "/header/envelope", ErrMismatch},
		{"one party as both", func(f *File) { f.Recipient = f.Sender }, "/recipient", ErrIdentity},
		{"parties swapped", func(f *File) { f.Sender, f.Recipient = f.Recipient, f.Sender }, "/header/envelope", ErrSignature},
		{"a byte of an identity", func(f *File) {
			f.Sender[0] = changePayload(t, f.Sender[0], "Republic of Arvenia", "Republic of Brvenia")
		}, "/sender", ErrIdentity},

		{"a byte of the receipt", func(f *File) {
			f.Receipts[0].Envelope = changePayload(t, f.Receipts[0].Envelope, `"kind":"received"`, `"kind":"opened"`)
		}, "/receipts/0/envelope", ErrSignature},
		{"a receipt of another header", func(f *File) { f.Receipts[0] = second.file.Receipts[0] }, "/receipts/0/envelope", ErrMismatch},
		{"a receipt on another link", func(f *File) { f.Receipts[0] = other.file.Receipts[0] }, "/receipts/0/envelope", ErrMismatch},
		{"the leaf of another receipt", func(f *File) { f.Receipts[0].Out = f.Receipts[1].Out }, "/receipts/0/out/leaf", ErrLeaf},
		{"the got leaf as the receipt's", func(f *File) { f.Receipts[0].Out = *f.Receipts[0].Got }, "/receipts/0/out/leaf", ErrLeaf},
		{"a receipt's checkpoint without cosignature", func(f *File) { f.Receipts[1].Out.Checkpoint = uncosigned(s.kestria) }, "/receipts/1/out/checkpoint", ErrCosignature},
		{"a hash of the receipt's path", func(f *File) { f.Receipts[1].Out.Path[1][0] ^= 1 }, "/receipts/1/out/path", ErrInclusion},
		{"a got leaf of another header", func(f *File) { f.Receipts[0].Got = second.file.Receipts[0].Got }, "/receipts/0/got/leaf", ErrLeaf},
		{"a got leaf's path", func(f *File) { f.Receipts[0].Got.Path[0][0] ^= 1 }, "/receipts/0/got/path", ErrInclusion},
		{"no version", func(f *File) { f.V = 0 }, "/v", ErrFormat},
	}
}

// TestContradictions are files whose every signature is right, and which still do not hold together.
func TestContradictions(t *testing.T) {
	for _, tc := range []struct {
		name string
		plot plot
		part string
		want error
	}{
		{"header names another leaf", plot{header: func(h *parcel.Header) { h.Index = 3 }}, "/header/entry/leaf", ErrLeaf},
		{"header names another epoch", plot{header: func(h *parcel.Header) { h.Epoch = 2 }}, "/header/entry/leaf", ErrLeaf},
		{"header of an identity that does not exist", plot{header: func(h *parcel.Header) { h.Identity = 2 }}, "/header/envelope", ErrIdentity},
		{"sealed for an identity that does not exist", plot{header: func(h *parcel.Header) { h.Recipient = 2 }}, "/header/envelope", ErrIdentity},
		{"header from another", plot{header: func(h *parcel.Header) { h.From[0] ^= 1 }}, "/header/envelope", ErrMismatch},
		{"text of another link", plot{text: func(x *statement.Text) { x.Link[0] ^= 1 }}, "/statement/text", ErrMismatch},
		{"text from another", plot{text: func(x *statement.Text) { x.From[0] ^= 1 }}, "/statement/text", ErrMismatch},
		{"text to another", plot{text: func(x *statement.Text) { x.To[0] ^= 1 }}, "/statement/text", ErrMismatch},
		{"receipt from another", plot{receipt: func(r *parcel.Receipt) { r.From[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt on another link, in this log", plot{receipt: func(r *parcel.Receipt) { r.Link[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt of another header's hash", plot{receipt: func(r *parcel.Receipt) { r.Header[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"header of another lane than the text", plot{header: func(h *parcel.Header) { h.Lane = statement.Hotline }}, "/statement/text", ErrMismatch},
		{"header of a file that the text does not list", plot{header: func(h *parcel.Header) {
			h.Seq, h.Seen, h.File = 0, nil, &parcel.FileRef{Position: 1}
		}}, "/header/envelope", ErrMismatch},
		{"sent leaf of another lane", plot{sent: func(l *ledger.Leaf) { l.Lane = "hotline" }}, "/header/entry/leaf", ErrLeaf},
		{"sent leaf of another sequence", plot{sent: func(l *ledger.Leaf) { l.Seq = 2 }}, "/header/entry/leaf", ErrLeaf},
		{"receipt of another root", plot{receipt: func(r *parcel.Receipt) { r.Root[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt of another sequence", plot{receipt: func(r *parcel.Receipt) { r.Seq = 2 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt of another epoch", plot{receipt: func(r *parcel.Receipt) { r.Epoch = 2 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt of another lane", plot{receipt: func(r *parcel.Receipt) { r.Lane = statement.Hotline }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt to another", plot{receipt: func(r *parcel.Receipt) { r.To[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt of another parcel", plot{receipt: func(r *parcel.Receipt) { r.Parcel[0] ^= 1 }}, "/receipts/0/envelope", ErrMismatch},
		{"receipt later than its leaf", plot{receipt: func(r *parcel.Receipt) { r.Log.Index = 5 }}, "/receipts/0/out/leaf", ErrLeaf},
		{"receipt that names another got leaf", plot{receipt: func(r *parcel.Receipt) { r.Log.Index = 3 }}, "/receipts/0/got/leaf", ErrLeaf},
		{"receipt of another time than its got leaf", plot{receipt: func(r *parcel.Receipt) { r.At -= second }}, "/receipts/0/got/leaf", ErrLeaf},
		{"receipt of an identity that does not exist", plot{receipt: func(r *parcel.Receipt) { r.Identity = 2 }}, "/receipts/0/envelope", ErrIdentity},
	} {
		t.Run(tc.name, func(t *testing.T) { refused(t, tell(t, tc.plot).file, tc.part, tc.want) })
	}
}

// TestArrivalOfLaterReceipt: a receipt of opening, too, can be shown with the arrival that it names, and with no other.
func TestArrivalOfLaterReceipt(t *testing.T) {
	withArrival := func(p plot) *File {
		f := tell(t, p).file
		f.Receipts[1].Got = f.Receipts[0].Got
		return f
	}
	if _, err := Verify(envelope.Default(), withArrival(plot{})); err != nil {
		t.Error(err)
	}
	refused(t, withArrival(plot{opened: func(r *parcel.Receipt) { r.Log.Epoch = 0 }}), "/receipts/1/got/leaf", ErrLeaf)
	refused(t, withArrival(plot{opened: func(r *parcel.Receipt) { r.Log.Index = 2 }}), "/receipts/1/got/leaf", ErrLeaf)
}

// TestTypeConfusion: a document signed as one thing never passes as another, whether it keeps the name of its type or not.
func TestTypeConfusion(t *testing.T) {
	s := tell(t, plot{})
	header, receipt := s.file.Header.Envelope, s.file.Receipts[0].Envelope
	receiptPayload := must[[]byte](t)(s.received.Encode())
	for _, tc := range []struct {
		name   string
		change func(*File)
		part   string
		want   error
	}{
		{"receipt as header", func(f *File) { f.Header.Envelope = receipt }, "/header/envelope", ErrType},
		{"header as receipt", func(f *File) { f.Receipts[0].Envelope = header }, "/receipts/0/envelope", ErrType},
		{"identity as header", func(f *File) { f.Header.Envelope = f.Sender[0] }, "/header/envelope", ErrType},
		{"identity as receipt", func(f *File) { f.Receipts[0].Envelope = f.Recipient[0] }, "/receipts/0/envelope", ErrType},
		{"header as identity", func(f *File) { f.Sender[0] = header }, "/sender", ErrIdentity},
		{"header renamed to receipt", func(f *File) { f.Receipts[0].Envelope = rename(t, header, parcel.ReceiptType) }, "/receipts/0/envelope", ErrFormat},
		{"header signed as a grant, renamed", func(f *File) {
			f.Header.Envelope = rename(t, s.arvenia.sign(t, parcel.GrantType, s.headerPayload), parcel.HeaderType)
		}, "/header/envelope", ErrSignature},
		{"header signed as a text, renamed", func(f *File) {
			f.Header.Envelope = rename(t, s.arvenia.sign(t, statement.PayloadType, s.headerPayload), parcel.HeaderType)
		}, "/header/envelope", ErrSignature},
		{"receipt signed as a header, renamed", func(f *File) {
			f.Receipts[0].Envelope = rename(t, s.kestria.sign(t, parcel.HeaderType, receiptPayload), parcel.ReceiptType)
		}, "/receipts/0/envelope", ErrSignature},
		{"identity signed as a header, renamed", func(f *File) {
			e := must[*envelope.Envelope](t)(envelope.DecodeEnvelope(f.Sender[0]))
			f.Sender[0] = rename(t, s.arvenia.sign(t, parcel.HeaderType, e.Payload), party.PayloadType)
		}, "/sender", ErrIdentity},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := copyFile(t, s.file)
			tc.change(f)
			refused(t, f, tc.part, tc.want)
		})
	}
}

func TestPins(t *testing.T) {
	s := tell(t, plot{})
	a, k, other := s.arvenia.chain.ID, s.kestria.chain.ID, envelope.Sum([]byte("other"))
	for _, tc := range []struct {
		name string
		pins []party.ID
		part string // "" if it passes
	}{
		{"none", nil, ""},
		{"both", []party.ID{a, k}, ""},
		{"both and more", []party.ID{other, k, a}, ""},
		{"the sender only", []party.ID{a}, "/recipient"},
		{"the recipient only", []party.ID{k, other}, "/sender"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Verify(envelope.Default(), s.file, tc.pins...)
			if tc.part != "" {
				checkError(t, err, tc.part, ErrPin)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := len(tc.pins) > 0; r.Sender.Pinned != want || r.Recipient.Pinned != want {
				t.Errorf("pinned %v, %v; want %v", r.Sender.Pinned, r.Recipient.Pinned, want)
			}
			for _, p := range []struct {
				got   Party
				chain *party.Chain
			}{{r.Sender, s.arvenia.chain}, {r.Recipient, s.kestria.chain}} {
				if p.got.ID != p.chain.ID || p.got.Fingerprint != party.Fingerprint(p.chain.ID) || p.got.Names["en"] != p.chain.Latest().Names["en"] {
					t.Errorf("party %+v", p.got)
				}
			}
		})
	}
}

// TestErased: what erasure leaves still proves who sent a statement, when, and who receipted it.
func TestErased(t *testing.T) {
	s := tell(t, plot{})
	f := copyFile(t, s.file)
	f.Statement.Body, f.Statement.BodySalt, f.Statement.Files = nil, nil, nil
	r, err := Verify(envelope.Default(), f)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Has(TextShown) || r.Has(BodyShown) || r.Has(FileShown) || !r.Has(Received) {
		t.Errorf("body erased: facts %v", codes(r))
	}
	f.Statement.Text, f.Statement.TextSalt = nil, nil
	if r, err = Verify(envelope.Default(), f); err != nil {
		t.Fatal(err)
	}
	if r.Has(TextShown) || !r.Has(Sent) || !r.Has(Received) || r.Text != nil {
		t.Errorf("commitment alone: facts %v", codes(r))
	}
	if len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], "commitment alone") {
		t.Errorf("remarks %q", r.Remarks)
	}
}

// TestRenewedIdentity: documents stay provable after their author has changed its keys, with a remark.
func TestRenewedIdentity(t *testing.T) {
	s := tell(t, plot{})
	since := morning - second
	s.arvenia.renew(t, &since)
	f := copyFile(t, s.file)
	f.Sender = s.arvenia.chain.Envelopes
	r, err := Verify(envelope.Default(), f)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(r.Remarks, "\n")
	for _, want := range []string{"other hands", "renewed its identity", "witness keys that it replaced"} {
		if !strings.Contains(all, want) {
			t.Errorf("no remark of %q in %q", want, r.Remarks)
		}
	}
}

// A log's checkpoint is signed under the version of its document or a later one, never an earlier.
func TestOldLogKey(t *testing.T) {
	s := tell(t, plot{header: func(h *parcel.Header) { h.Identity = 2 }})
	s.arvenia.renew(t, nil)
	f := copyFile(t, s.file)
	f.Sender = s.arvenia.chain.Envelopes
	refused(t, f, "/header/entry/checkpoint", ErrCheckpoint) // signed with version 1's log keys
}

func TestFileCodec(t *testing.T) {
	s := tell(t, plot{})
	data := must[[]byte](t)(s.file.Encode())
	got := must[*File](t)(Decode(data))
	if diff := cmp.Diff(s.file, got); diff != "" {
		t.Error(diff)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"unknown member":   strings.Replace(string(data), `{"v":1`, `{"w":1,"v":1`, 1),
		"duplicate member": strings.Replace(string(data), `{"v":1`, `{"v":1,"v":1`, 1),
		"trailing value":   string(data) + "{}",
		"no sender":        `{"v":1,"statement":{"commitment":"` + s.file.Statement.Commitment.String() + `"},"sender":[],"recipient":["AA=="]}`,
		"null":             "null",
		"too long":         string(data) + strings.Repeat(" ", MaxFile),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(text))
			if _, ok := errors.AsType[*envelope.FormatError](err); !ok {
				t.Errorf("error %v, want a *FormatError", err)
			}
		})
	}
	for name, change := range map[string]func(*File){
		"too many receipts": func(f *File) { f.Receipts = slices.Repeat(f.Receipts, MaxReceipts) },
		"too many versions": func(f *File) { f.Sender = slices.Repeat(f.Sender, MaxVersions+1) },
		"too long path":     func(f *File) { f.Header.Entry.Path = make([]envelope.Hash, ledger.MaxProof+1) },
		"too long leaf":     func(f *File) { f.Header.Entry.Leaf = strings.Repeat("x", ledger.MaxLeaf+1) },
		"too long note":     func(f *File) { f.Receipts[0].Out.Checkpoint = strings.Repeat("x", ledger.MaxNote+1) },
		"too long text":     func(f *File) { f.Statement.Text = make([]byte, statement.MaxText+1) },
		"no commitment":     func(f *File) { f.Statement.Commitment = envelope.Hash{} },
	} {
		t.Run(name, func(t *testing.T) {
			f := copyFile(t, s.file)
			change(f)
			if _, err := f.Encode(); err == nil {
				t.Error("encoded")
			}
			if _, err := Verify(envelope.Default(), f); !errors.Is(err, ErrFormat) {
				t.Errorf("error %v, want %v", err, ErrFormat)
			}
		})
	}
}

func TestTransparencyProof(t *testing.T) {
	s := tell(t, plot{})
	data := string(must[[]byte](t)(s.file.Header.Entry.TransparencyProof()))
	head, checkpoint, _ := strings.Cut(data, "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != "index 4" || len(lines) != 2+len(s.file.Header.Entry.Path) {
		t.Errorf("head %q", head)
	}
	if checkpoint != s.file.Header.Entry.Checkpoint {
		t.Errorf("checkpoint %q", checkpoint)
	}
	if _, err := (Entry{Leaf: "x"}).TransparencyProof(); err == nil {
		t.Error("a leaf that is none was written")
	}
}

func refused(t *testing.T, f *File, part string, want error) {
	t.Helper()
	r, err := Verify(envelope.Default(), f)
	if r != nil {
		t.Errorf("a report in spite of %v", err)
	}
	checkError(t, err, part, want)
}

func checkError(t *testing.T, err error, part string, want error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %v, want an *Error", err)
	}
	if e.Check != want || e.Part != part || !errors.Is(err, want) {
		t.Errorf("%v at %s, want %v at %s", err, e.Part, want, part)
	}
}

func factOf(t *testing.T, r *Report, c Code) Fact {
	t.Helper()
	for _, f := range r.Facts {
		if f.Code == c {
			return f
		}
	}
	t.Fatalf("no fact %s", c)
	return Fact{}
}

// changePayload replaces text within a signed payload and leaves the signatures as they are.
func changePayload(t *testing.T, data []byte, from, to string) []byte {
	t.Helper()
	e := must[*envelope.Envelope](t)(envelope.DecodeEnvelope(data))
	changed := bytes.Replace(e.Payload, []byte(from), []byte(to), 1)
	if bytes.Equal(changed, e.Payload) {
		t.Fatalf("no %q in %s", from, e.Payload)
	}
	e.Payload = changed
	return must[[]byte](t)(e.Encode())
}

// strip takes the last signature away.
func strip(t *testing.T, data []byte) []byte {
	t.Helper()
	e := must[*envelope.Envelope](t)(envelope.DecodeEnvelope(data))
	e.Signatures = e.Signatures[:len(e.Signatures)-1]
	return must[[]byte](t)(e.Encode())
}

// rename changes the type that an envelope claims.
func rename(t *testing.T, data []byte, payloadType string) []byte {
	t.Helper()
	e := must[*envelope.Envelope](t)(envelope.DecodeEnvelope(data))
	e.PayloadType = payloadType
	return must[[]byte](t)(e.Encode())
}
