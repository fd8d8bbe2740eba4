package flow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// sealing turns one draft into parcels.
type sealing struct {
	h         *House
	link      exchange.Link
	edition   envelope.Hash // that the statement obeys
	to        *party.Identity
	agreement *terms
	rules     *statement.Rules // of the edition
	began     int64
	key       []byte // the statement's key at rest
	progress  Progress
	done      int64 // bytes of files
	files     []statement.File
	sealed    []*outgoing // of the files
	blobs     *claim
	placed    bool // a transaction was asked to place the statement

	registered bool
}

// begin seals the files, once it is known whether there are any.
func (w *sealing) begin(ctx context.Context, d Draft, stand standing) error {
	files := d.Files
	if files == nil {
		files = func(func(FileDraft, error) bool) {}
	}
	next, stop := iter.Pull2(files)
	defer stop()
	f, err, some := next()
	if err != nil {
		return err
	}
	if err := w.h.allowed(d, some, w.agreement, w.rules, stand); err != nil {
		return err
	}
	for ; some; f, err, some = next() {
		if err != nil {
			return err
		}
		if err := w.file(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// end lets go of what was sealed. For a statement that never was to be placed it is removed; what a failed transaction left, a sweep
// finds, since only the store knows how that ended.
func (w *sealing) end(ctx context.Context) {
	if !w.placed {
		for _, name := range w.blobs.names {
			if err := w.h.cfg.Blobs.Remove(context.WithoutCancel(ctx), name); err != nil {
				w.h.cfg.Log.Warn("removing what was sealed in vain; it is removed later", "blob", name, "err", err)
			}
		}
	}
	w.blobs.release()
}

func (w *sealing) seal(ctx context.Context, who actor.Actor, text statement.Text, body any) (*reservation, error) {
	r := &reservation{link: w.link, who: who.Name}
	content, commitment, err := statement.Compose(text, body, w.files)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	r.commitment = commitment
	if r.text, err = statement.DecodeText(content.Text); err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	if err := w.h.kinds[w.rules.Kinds][text.Kind].Check(r.text, content.Body); err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	if r.agreement, err = agreementIn(text.Kind, content.Body); err != nil {
		return nil, err
	}
	r.asked = w.h.askings(w.link.Peer, r.text, commitment, content.Body)
	encoded, err := content.Encode()
	if err != nil {
		return nil, err
	}
	first, err := w.content(ctx, encoded)
	if err != nil {
		return nil, err
	}
	r.parcels = append([]*outgoing{first}, w.sealed...)
	for _, out := range r.parcels {
		out.header.Text, out.row.Text = commitment, commitment
		out.header.Lane, out.row.Lane = text.Lane, text.Lane
		if out.file != nil {
			out.file.Statement = commitment
		}
	}
	if r.body, r.wrapped, err = w.h.lock(w.key, commitment, encoded); err != nil {
		return nil, err
	}
	r.row = exchange.Statement{Commitment: commitment, Link: w.link.ID, Author: w.h.self, Lane: text.Lane, Kind: text.Kind,
		Authored: text.Authored, Text: content.Text, TextSalt: content.TextSalt, Parcel: first.header.ID, Thread: commitment}
	if text.Thread != nil {
		r.row.Thread = *text.Thread
	}
	return r, nil
}

// CheckFile refuses a file that cannot be sent under this name and media type: a door that knows them all asks before it takes the
// first file in, and a file is not sealed before it was asked.
func CheckFile(name, media string) error {
	if err := statement.CheckFile(name, media); err != nil {
		return fault.Wrap(fault.Invalid, "file_name", fmt.Sprintf("The file %+q cannot be sent so: %s; give it another name.", name, plain(err)), err)
	}
	return nil
}

// plain gives the words of a format error, which name what is wrong and where, and nothing else.
func plain(err error) string {
	if e, ok := errors.AsType[*envelope.FormatError](err); ok {
		return e.Error()
	}
	return "its form is wrong"
}

// header starts a header with what is known before the reserving transaction.
func (w *sealing) header() parcel.Header {
	now := w.h.now()
	return parcel.Header{V: 1, ID: envelope.NewID(), Link: w.link.ID, From: w.h.self, To: w.link.Peer,
		Recipient: w.to.Version, Epoch: w.link.OwnEpoch,
		Created: now, Expires: now + w.agreement.Limits.Expiry*1e6, Padding: "none"}
}

func (w *sealing) row(hd parcel.Header) exchange.Parcel {
	return exchange.Parcel{ID: hd.ID, Link: hd.Link, Author: hd.From, Epoch: hd.Epoch, File: exchange.OfStatement, State: exchange.Sending,
		GotIndex: -1, Created: hd.Created, Expires: hd.Expires, Segments: hd.Segments, Length: hd.Length}
}

// content seals a statement's content, inline when it is small.
func (w *sealing) content(ctx context.Context, encoded []byte) (*outgoing, error) {
	hd := w.header()
	hd.Padding = parcel.PaddingClass(len(encoded))
	var buf bytes.Buffer
	sealed, err := parcel.SealContent(w.h.cfg.Registry, &buf, encoded, w.to.Suites, hd.Context())
	if err != nil {
		return nil, fmt.Errorf("sealing a statement: %w", err)
	}
	fill(&hd, sealed)
	out := &outgoing{header: hd, row: w.row(hd)}
	if w.registered {
		out.withhold()
	}
	if buf.Len() <= parcel.MaxInline {
		out.row.Content = buf.Bytes()
		return out, nil
	}
	b, err := w.h.cfg.Blobs.Create(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if _, err := b.Write(buf.Bytes()); err != nil {
		return nil, err
	}
	return out, w.commit(b, out, sealed)
}

// commit makes what was sealed for the peer durable.
func (w *sealing) commit(b BlobWriter, out *outgoing, sealed envelope.Sealed) error {
	out.segments, out.row.Blob = sealed.Leaves, sealed.Root.String()
	w.blobs.add(out.row.Blob)
	return b.Commit(out.row.Blob)
}

func fill(hd *parcel.Header, s envelope.Sealed) {
	hd.Layers, hd.Segments, hd.Length, hd.Root = s.Layers, s.Segments, s.Length, s.Root
	for _, l := range s.Layers {
		hd.Suites = append(hd.Suites, l.Suite)
	}
}

// reserveEvery is how many bytes of a file are sealed between looks at the disk.
const reserveEvery = 64 << 20

// file seals a file for the peer as it is read. What is sealed is our copy at rest, too: its content keys are kept under the
// statement's key.
func (w *sealing) file(ctx context.Context, f FileDraft) error {
	position := len(w.files)
	if position == statement.MaxFiles {
		return fault.New(fault.TooLarge, "files", fmt.Sprintf("A statement carries at most %d files; send the rest with another.", statement.MaxFiles))
	}
	if err := CheckFile(f.Name, f.Media); err != nil {
		return err
	}
	plain, err := w.h.plaintext(position, f, w.agreement, func(n int) {
		if w.done += int64(n); w.progress != nil {
			w.progress(w.done, 0)
		}
	})
	if err != nil {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("sealing file %d: %w", position+1, err) }
	hd := w.header()
	hd.File = &parcel.FileRef{Position: position}
	b, err := w.h.cfg.Blobs.Create(ctx)
	if err != nil {
		return fail(err)
	}
	defer b.Close()
	sealed, err := parcel.SealFile(w.h.cfg.Registry, b, plain, w.to.Suites, hd.Context())
	if err != nil {
		return fail(err)
	}
	if err := plain.whole(); err != nil {
		return err
	}
	fill(&hd, sealed)
	out := &outgoing{header: hd, row: w.row(hd)}
	out.row.File = position
	if w.registered {
		out.row.State, out.row.SentIndex = exchange.Withheld, -1
	}
	if err := w.commit(b, out, sealed); err != nil {
		return fail(err)
	}
	keys, err := lockKeys(w.key, position, sealed)
	if err != nil {
		return fail(err)
	}
	out.file = &exchange.File{Position: position, Link: w.link.ID, Author: w.h.self, Parcel: hd.ID, Size: plain.n, State: "stored",
		Blob: out.row.Blob, Keys: keys}
	w.sealed = append(w.sealed, out)
	w.files = append(w.files, statement.File{SHA256: envelope.Hash(plain.digest.Sum(nil)), Size: plain.n, Name: f.Name, Media: f.Media,
		Salt: statement.NewSalt(), Parcel: hd.ID})
	return nil
}

// plaintext is a file as it is read: it is hashed and counted, and stops where it passes what was said or is allowed, or what the
// disk has room for.
type plaintext struct {
	src      io.Reader
	blobs    Blobs
	limit    int64
	position int
	said     int64          // -1: nothing
	declared *envelope.Hash // nil: nothing
	passed   func(int)      // hears of what was read; may be nil
	digest   hash.Hash
	n        int64
	reserved int64
}

// plaintext begins to read a file, if it may be as large as it is said to be.
func (h *House) plaintext(position int, f FileDraft, a *terms, passed func(int)) (*plaintext, error) {
	p := &plaintext{src: f.Content, blobs: h.cfg.Blobs, limit: a.Limits.FileBytes, position: position, said: f.Size, declared: f.SHA256, passed: passed, digest: sha256.New()}
	return p, p.check(max(f.Size, 0))
}

// check says whether a file may have n bytes.
func (p *plaintext) check(n int64) error {
	switch {
	case n > p.limit:
		return fault.New(fault.TooLarge, "file_size", fmt.Sprintf("A file may have at most %d bytes on this link.", p.limit))
	case p.said >= 0 && n > p.said:
		return fault.New(fault.Conflict, "file_changed", "The file grew while it was read; send it again when it is complete.")
	case n < p.reserved || n == 0:
		return nil
	}
	p.reserved = n + reserveEvery
	return p.blobs.Reserve(max(p.said-p.n, reserveEvery))
}

// Read implements io.Reader.
func (p *plaintext) Read(b []byte) (int, error) {
	n, err := p.src.Read(b)
	p.digest.Write(b[:n])
	p.n += int64(n)
	if refused := p.check(p.n); refused != nil {
		return 0, refused
	}
	if p.passed != nil {
		p.passed(n)
	}
	return n, err
}

// whole refuses a file that ended before what was said of it, or that is not the one that was declared.
func (p *plaintext) whole() error {
	if p.said >= 0 && p.n != p.said {
		return fault.New(fault.Conflict, "file_changed", "The file changed while it was read; send it again when it is complete.")
	}
	if got := envelope.Hash(p.digest.Sum(nil)); p.declared != nil && got != *p.declared {
		wrong := statement.FieldFault{Where: fmt.Sprintf("/files/%d/sha256", p.position), What: fmt.Sprintf("is %s, and the file that came hashes to %s", p.declared, got),
			Write: statement.Words{EN: "Send the file that was meant, or declare the hash that it has.", ZH: "请发送所指文件，或填写该文件的实际哈希值。"}}
		return fault.Wrap(fault.Invalid, "file_digest", "A file is not the one that was declared; nothing was sent or kept.",
			&assistance.Incomplete{Faults: []statement.FieldFault{wrong}})
	}
	return nil
}
