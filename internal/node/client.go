package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"entente/envelope"
	"entente/internal/accord"
	"entente/internal/api"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// What a client sends and gets, as the API describes it.
type (
	Self           = api.Self
	Invitation     = flow.Invitation
	Link           = api.Link
	Figures        = api.Figures
	LinkFigures    = api.LinkFigures
	Agreement      = api.Agreement
	Confirmation   = api.Confirmation
	Suspension     = api.Suspension
	Resumption     = api.Resumption
	LinkWithdrawal = api.LinkWithdrawal
	Desk           = api.Desk
	NewDesk        = api.NewDesk
	DeskProposal   = api.DeskProposal
	Draft          = api.Draft
	Pairing        = api.Pairing
	Statement      = api.Statement
	EraseOrder     = api.EraseOrder
	Erased         = api.Erased
	File           = api.File
	Receipt        = api.Receipt
	Leaf           = api.Leaf
	Verification   = api.Verification
	Witnessing     = api.Witnessing
	Cut            = api.Cut
	Fold           = api.Fold
	StatusReport   = accord.Report
	Timed          = accord.Timed
	CodeCount      = accord.Count
	Audit          = api.Audit
	Evidence       = api.Evidence
	Check          = api.Check
	Keys           = api.Keys
	Renewal        = api.Renewal
	Suspicion      = api.Suspicion
	Backup         = api.Backup
	Progress       = flow.Progress
	StatementList  = api.List[api.Statement]
	LeafList       = api.List[api.Leaf]
)

// How a link's parties reach each other, as a link's description names it.
const (
	ReachPush    = flow.ReachPush
	ReachPolled  = flow.ReachPolled
	ReachPolling = flow.ReachPolling
	ReachCourier = flow.ReachCourier

	ReachOnewayOut = flow.ReachOnewayOut
	ReachOnewayIn  = flow.ReachOnewayIn
)

// maxAnswer bounds a JSON answer of a node: a page of the longest statements.
const maxAnswer = 1 << 30

// maxIdle is how many connections are kept for the next calls, when as many were under way at a time.
const maxIdle = 64

// Client speaks to a running node through its Unix socket. Its errors are faults; one of kind Unavailable and code
// node_away says that no node runs there.
type Client struct {
	socket string
	token  string // shown with each call; empty: whoever may open the socket
	remote string // host:port of a node that is reached over HTTPS; then socket is empty
	match  string // the entity tag of what is changed; empty for none
	http   *http.Client
}

// Dial makes a client for the node of a data directory. It connects when it is first used.
func Dial(data string) *Client {
	socket := filepath.Join(data, SocketFile)
	dialer := &net.Dialer{}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxIdle,
	}}}
}

// As is a client that acts as the member of a token. It shares the connections.
func (c *Client) As(token string) *Client {
	as := *c
	as.token = token
	return &as
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Self says who the node is.
func (c *Client) Self(ctx context.Context) (Self, error) { return get[Self](ctx, c, "/self", nil) }

// Keys lists the versions of the node's identity.
func (c *Client) Keys(ctx context.Context) (Keys, error) { return get[Keys](ctx, c, "/keys", nil) }

// Rotate replaces the node's keys.
func (c *Client) Rotate(ctx context.Context, r Renewal) (Keys, error) {
	return post[Keys](ctx, c, "/keys/rotations", r)
}

// PrepareRecovery makes new keys and returns the document that the recovery quorum is to sign.
func (c *Client) PrepareRecovery(ctx context.Context, r Renewal) ([]byte, error) {
	p, err := post[api.Prepared](ctx, c, "/keys/recoveries", r)
	return p.Document, err
}

// FinishRecovery puts in force what the quorum has signed.
func (c *Client) FinishRecovery(ctx context.Context, signed [][]byte) (Keys, error) {
	return post[Keys](ctx, c, "/keys/recoveries/signatures", api.Signed{Documents: signed})
}

// CancelRecovery gives up what was prepared.
func (c *Client) CancelRecovery(ctx context.Context) (Keys, error) {
	return post[Keys](ctx, c, "/keys/recoveries/cancellations", nil)
}

// Invite makes an invitation that is valid for so many seconds, to the agreement that is offered.
func (c *Client) Invite(ctx context.Context, alias string, valid int64, offer statement.Agreement) (Invitation, error) {
	return post[Invitation](ctx, c, "/invitations", api.InvitationRequest{Alias: alias, Valid: valid, Agreement: &offer})
}

// Accept accepts an encoded invitation.
func (c *Client) Accept(ctx context.Context, alias string, invitation []byte) (Link, error) {
	inv, err := flow.DecodeInvitation(invitation)
	if err != nil {
		return Link{}, err
	}
	return post[Link](ctx, c, "/links", api.LinkRequest{Alias: alias, Invitation: *inv})
}

// AcceptByFile accepts an encoded invitation without a network, and returns the file for the inviter.
func (c *Client) AcceptByFile(ctx context.Context, alias string, invitation []byte) ([]byte, error) {
	inv, err := flow.DecodeInvitation(invitation)
	if err != nil {
		return nil, err
	}
	f, err := post[api.PairingFile](ctx, c, "/pairings/answers", api.LinkRequest{Alias: alias, Invitation: *inv})
	return f.File, err
}

// MaxPairFile bounds a pairing file in bytes.
const MaxPairFile = flow.MaxPairFile

// IsAnswer says whether a pairing file is an answer to an invitation of ours, and asks for another file; else it is the last one.
func IsAnswer(file []byte) (bool, error) {
	f, err := flow.DecodePairFile(file)
	return err == nil && f.Answer != nil, err
}

// Pair goes on with a pairing by the other party's file.
func (c *Client) Pair(ctx context.Context, file []byte) (Pairing, error) {
	return post[Pairing](ctx, c, "/pairings", api.PairingFile{File: file})
}

// Links lists the links.
func (c *Client) Links(ctx context.Context) ([]Link, error) {
	return items[Link](ctx, c, "/links", nil)
}

// Link shows a link, named by its alias, its id or a prefix of that.
func (c *Client) Link(ctx context.Context, name string) (Link, error) {
	return get[Link](ctx, c, "/links/"+url.PathEscape(name), nil)
}

// Agree signs another agreement for a link: the one in force with an edition of kinds, or a proposal of the other party.
func (c *Client) Agree(ctx context.Context, link string, to Agreement) (envelope.Hash, error) {
	said, err := post[api.Said](ctx, c, "/links/"+url.PathEscape(link)+"/agreements", to)
	return said.Statement, err
}

// Confirm says that a person compared the code of a link, and returns the statement that says so.
func (c *Client) Confirm(ctx context.Context, link string, how Confirmation) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/links/"+url.PathEscape(link)+"/confirmations", how))
}

// Suspend suspends lanes of a link.
func (c *Client) Suspend(ctx context.Context, link string, how Suspension) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/links/"+url.PathEscape(link)+"/suspensions", how))
}

// Resume resumes lanes that we suspended.
func (c *Client) Resume(ctx context.Context, link string, how Resumption) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/links/"+url.PathEscape(link)+"/resumptions", how))
}

// Withdraw ends our part in a link.
func (c *Client) Withdraw(ctx context.Context, link string, how LinkWithdrawal) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/links/"+url.PathEscape(link)+"/withdrawals", how))
}

// Desks lists the desks of a link, or of all with an empty name.
func (c *Client) Desks(ctx context.Context, link string) ([]Desk, error) {
	return items[Desk](ctx, c, "/desks", query("link", link))
}

// ProposeDesk proposes a desk; the statement returned is its id.
func (c *Client) ProposeDesk(ctx context.Context, desk NewDesk) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/desks", desk))
}

// UpdateDesk proposes another edition of a desk of ours.
func (c *Client) UpdateDesk(ctx context.Context, desk string, p DeskProposal) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/desks/"+url.PathEscape(desk)+"/updates", p))
}

// CountersignDesk countersigns the newest proposal of a peer's desk.
func (c *Client) CountersignDesk(ctx context.Context, desk string) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/desks/"+url.PathEscape(desk)+"/countersignatures", nil))
}

// WithdrawDesk withdraws a desk of ours, for a reason that is a code.
func (c *Client) WithdrawDesk(ctx context.Context, desk, reason string) (statement.Commitment, error) {
	return said(post[api.Said](ctx, c, "/desks/"+url.PathEscape(desk)+"/withdrawals", api.Withdrawal{Reason: reason}))
}

// Filter narrows a list of statements; empty members do not.
type Filter struct {
	Box    string // in | out | awaited
	Link   string
	Kind   string
	Thread string
	Before string // the cursor of the page before
	Limit  int
}

// Statements lists statements, newest first.
func (c *Client) Statements(ctx context.Context, f Filter) (StatementList, error) {
	return get[StatementList](ctx, c, "/statements", page(f.Limit, "box", f.Box, "link", f.Link, "kind", f.Kind, "thread", f.Thread, "before", f.Before))
}

// Statement shows a statement, named by its commitment or a prefix of it.
func (c *Client) Statement(ctx context.Context, name string) (Statement, error) {
	return get[Statement](ctx, c, "/statements/"+url.PathEscape(name), nil)
}

// Receipts lists the receipts of a statement.
// Erase removes a statement's body, files and key from the node.
func (c *Client) Erase(ctx context.Context, name string, o EraseOrder) (Erased, error) {
	return post[Erased](ctx, c, "/statements/"+url.PathEscape(name)+"/erasures", o)
}

func (c *Client) Receipts(ctx context.Context, name string) ([]Receipt, error) {
	return items[Receipt](ctx, c, "/statements/"+url.PathEscape(name)+"/receipts", nil)
}

// Upload is a file to send; it is read once.
type Upload struct {
	Name, Media string
	Size        int64
	Content     io.Reader
}

// Send sends a draft with its files, as a stream.
func (c *Client) Send(ctx context.Context, d Draft, files []Upload, p Progress) (statement.Commitment, error) {
	return said(upload[api.Said](ctx, c, "/statements", d, files, p))
}

func writeForm(form *multipart.Writer, d Draft, files []Upload, p Progress) error {
	read := &counted{progress: p}
	for _, f := range files {
		read.total += f.Size
	}
	data, err := envelope.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding the draft: %w", err)
	}
	part, err := form.CreatePart(partHeader("draft", "", "application/json"))
	if err == nil {
		_, err = part.Write(data)
	}
	for _, f := range files {
		if err != nil {
			return err
		}
		h := partHeader("file", f.Name, f.Media)
		h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
		read.Reader = f.Content
		if part, err = form.CreatePart(h); err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{part}, read, make([]byte, 1<<20))
		}
	}
	if err != nil {
		return err
	}
	return form.Close()
}

func partHeader(name, file, media string) textproto.MIMEHeader {
	params := map[string]string{"name": name}
	if file != "" {
		params["filename"] = file
	}
	return textproto.MIMEHeader{
		"Content-Disposition": {mime.FormatMediaType("form-data", params)},
		"Content-Type":        {media},
	}
}

// File writes a file of a statement to w.
func (c *Client) File(ctx context.Context, name string, position int, w io.Writer) error {
	return c.download(ctx, "/statements/"+url.PathEscape(name)+"/files/"+strconv.Itoa(position), nil, w)
}

// Proof writes a proof file of a statement to w.
func (c *Client) Proof(ctx context.Context, name string, body bool, w io.Writer) error {
	return c.download(ctx, "/statements/"+url.PathEscape(name)+"/proof", query("body", strconv.FormatBool(body)), w)
}

// Pack writes all that is due for a link to w as a courier file. p hears of the bytes; how many there will be is not known.
func (c *Client) Pack(ctx context.Context, link string, again bool, w io.Writer, p Progress) error {
	query := ""
	if again {
		query = "?again=true"
	}
	resp, err := c.do(ctx, http.MethodPost, "http://node"+api.Prefix+"/links/"+url.PathEscape(link)+"/courier"+query, "", "", nil)
	if err != nil {
		return err
	}
	_, err = c.carried(resp, w, p)
	return err
}

// PackParts is Pack into parts of at most max bytes, each of which is a courier file by itself. next gives the writer of each part,
// counted from 1. It returns how many there are.
func (c *Client) PackParts(ctx context.Context, link string, again bool, max int64, next func(part int) (io.Writer, error), p Progress) (int, error) {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := c.Pack(ctx, link, again, w, p)
		w.CloseWithError(err)
		packed <- err
	}()
	n, err := parcel.SplitBundle(r, max, next)
	r.CloseWithError(err)
	if cause := <-packed; cause != nil && (err == nil || !errors.Is(cause, err)) { // it is not what ended the pipe
		err = cause
	}
	return n, err
}

// Unpack gives the node a courier file of so many bytes, and writes the answers to w as another. cut says that the file
// broke off, or was damaged: what came before was taken.
func (c *Client) Unpack(ctx context.Context, file io.Reader, size int64, w io.Writer, p Progress) (cut bool, err error) {
	resp, err := c.do(ctx, http.MethodPost, "http://node"+api.Prefix+"/courier", "application/vnd.entente.courier", "", &counted{file, 0, size, p})
	if err != nil {
		return false, err
	}
	return c.carried(resp, w, nil)
}

// carried writes a courier file that the node answered with, and looks whether it is whole.
func (c *Client) carried(resp *http.Response, w io.Writer, p Progress) (cut bool, err error) {
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return false, decode(resp, data, nil)
	}
	bundle, frames, err := parcel.ReadBundle(&counted{resp.Body, 0, 0, p})
	if err != nil {
		return false, c.broken(err)
	}
	err = parcel.WriteBundle(w, bundle, func(yield func(parcel.Frame, error) bool) {
		for f, err := range frames {
			var r parcel.RefusalFrame
			if f.Kind == parcel.FrameRefusal && parcel.DecodeFrame(f, parcel.FrameRefusal, &r) == nil {
				cut = cut || r.Code == flow.CourierCut
			}
			if err != nil {
				err = c.broken(err)
			}
			if !yield(f, err) {
				return
			}
		}
	})
	return cut, err
}

// counted reports how much of something was read.
type counted struct {
	io.Reader
	done, total int64
	progress    Progress
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
	return n, err
}

// Leaves lists leaves of a link's ledger: whose is own, peer or a party's id.
func (c *Client) Leaves(ctx context.Context, link, whose string, from int64, limit int) (LeafList, error) {
	q := query("from", strconv.FormatInt(from, 10), "limit", strconv.Itoa(limit))
	return get[LeafList](ctx, c, "/links/"+url.PathEscape(link)+"/ledgers/"+url.PathEscape(whose), q)
}

// Verify verifies both ledgers of a link.
func (c *Client) Verify(ctx context.Context, link string, p Progress) (Verification, error) {
	return stream[Verification](ctx, c, http.MethodGet, "/links/"+url.PathEscape(link)+"/verification", "", nil, p)
}

// Witnesses shows what third parties cosigned of our ledger of a link.
func (c *Client) Witnesses(ctx context.Context, link string) (Witnessing, error) {
	return get[Witnessing](ctx, c, "/links/"+url.PathEscape(link)+"/witnesses", nil)
}

// Cut names the newest common cut of a link.
func (c *Client) Cut(ctx context.Context, link string) (Cut, error) {
	return get[Cut](ctx, c, "/links/"+url.PathEscape(link)+"/cut", nil)
}

// Fold hashes what lies under a cut.
func (c *Client) Fold(ctx context.Context, link string, cut Cut) (Fold, error) {
	return get[Fold](ctx, c, "/links/"+url.PathEscape(link)+"/fold", query("sizes", cut.String()))
}

// Report counts the requests of a link that were received in a period, by the newest common cut, or by another.
func (c *Client) Report(ctx context.Context, link string, from, to time.Time, cut *Cut) (StatusReport, error) {
	q := query("from", from.UTC().Format(time.RFC3339Nano), "to", to.UTC().Format(time.RFC3339Nano))
	if cut != nil {
		q.Set("sizes", cut.String())
	}
	return get[StatusReport](ctx, c, "/links/"+url.PathEscape(link)+"/report", q)
}

// Figures reads the gauges of every link.
func (c *Client) Figures(ctx context.Context) ([]LinkFigures, error) {
	return items[LinkFigures](ctx, c, "/figures", nil)
}

// Evidence lists the lies that were kept, of one link or with an empty name of all.
func (c *Client) Evidence(ctx context.Context, link string) ([]Evidence, error) {
	return items[Evidence](ctx, c, "/evidence", query("link", link))
}

// Doctor lets the node examine itself.
func (c *Client) Doctor(ctx context.Context) ([]Check, error) {
	return items[Check](ctx, c, "/doctor", nil)
}

// Backup lets the node write a backup to a path on its machine.
func (c *Client) Backup(ctx context.Context, to string, p Progress) (Backup, error) {
	data, err := envelope.Marshal(api.BackupRequest{To: to})
	if err != nil {
		return Backup{}, err
	}
	return stream[Backup](ctx, c, http.MethodPost, "/backups", "application/json", bytes.NewReader(data), p)
}

// Ready says whether the node is ready to serve.
func (c *Client) Ready(ctx context.Context) error {
	resp, err := c.do(ctx, http.MethodGet, "http://node/readyz", "", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "not_ready", "The node runs, but is not ready yet.")
	}
	return nil
}

// query makes parameters of names and values, leaving out those that are empty.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// page is query, with how much of a list is asked for; 0 is as much as the API has it.
func page(limit int, pairs ...string) url.Values {
	q := query(pairs...)
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

func said(s api.Said, err error) (statement.Commitment, error) { return s.Statement, err }

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return call[T](ctx, c, http.MethodGet, path, "", nil)
}

func items[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	list, err := get[api.List[T]](ctx, c, path, q)
	return list.Items, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	if body == nil {
		return call[T](ctx, c, http.MethodPost, path, "", nil)
	}
	data, err := envelope.Marshal(body)
	if err != nil {
		var zero T
		return zero, fault.Wrap(fault.Invalid, "encode", "What you want to send cannot be encoded.", err)
	}
	return call[T](ctx, c, http.MethodPost, path, "application/json", bytes.NewReader(data))
}

// call makes one call and decodes its answer.
func call[T any](ctx context.Context, c *Client, method, path, media string, body io.Reader) (T, error) {
	var out T
	resp, err := c.do(ctx, method, "http://node"+api.Prefix+path, media, "application/json", body)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, c.broken(err)
	}
	return out, decode(resp, data, &out)
}

// stream makes one long call, reports its progress and decodes its result.
func stream[T any](ctx context.Context, c *Client, method, path, media string, body io.Reader, p Progress) (T, error) {
	var out T
	resp, err := c.do(ctx, method, "http://node"+api.Prefix+path, media, "application/x-ndjson", body)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return out, decode(resp, data, nil)
	}
	lines := newLines(resp.Body)
	for {
		data, err := lines.next()
		if err != nil {
			return out, c.broken(err)
		}
		var l api.Line[T]
		if err := envelope.Unmarshal(data, &l); err != nil {
			return out, c.broken(err)
		}
		switch {
		case l.Problem != nil:
			return out, l.Problem.Fault()
		case l.Result != nil:
			io.Copy(io.Discard, resp.Body) // to its end, which is here, so that the connection serves again
			return *l.Result, nil
		case l.Progress != nil && p != nil:
			p(l.Progress.Done, l.Progress.Total)
		}
	}
}

func (c *Client) download(ctx context.Context, path string, q url.Values, w io.Writer) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	resp, err := c.do(ctx, http.MethodGet, "http://node"+api.Prefix+path, "", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return decode(resp, data, nil)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.broken(err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, address, media, accept string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "call", "This cannot be asked of a node.", err)
	}
	if c.match != "" {
		req.Header.Set("If-Match", c.match)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" && c.remote == "" {
		return nil, away(filepath.Dir(c.socket), e)
	}
	return nil, c.broken(err)
}

// away says why no node answers on a data directory, and what to do.
func away(data string, err error) error {
	_, missing := os.Stat(filepath.Join(data, keyringFile))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Unavailable, "node_away", "You may not speak to the node on "+data+"; do it as the user that runs it.")
	case errors.Is(missing, fs.ErrNotExist):
		return fault.New(fault.Unavailable, "node_away",
			"There is no node in "+data+"; name its directory with --data or ENTENTE_DATA, or create one with: entente init --data "+data)
	}
	return fault.New(fault.Unavailable, "node_away", "No node runs on "+data+"; start it with: entente serve --data "+data)
}

// broken says that a call to the node broke off. A fault that the call's own input made stays what it is.
func (c *Client) broken(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.Wrap(fault.Unavailable, "node_broken", "The call to the node broke off; look whether it still runs, and try again.", err)
}

// decode reads an answer: the value that was asked for, or a problem.
func decode(resp *http.Response, data []byte, v any) error {
	if resp.StatusCode < http.StatusBadRequest {
		if err := envelope.Unmarshal(data, v); err != nil {
			return fault.Wrap(fault.Internal, "answer", "The node answered in a way that this program does not understand; are both of the same version?", err)
		}
		return nil
	}
	var p api.Problem
	if err := envelope.Unmarshal(data, &p); err != nil {
		return fault.Wrap(fault.Internal, "answer", "The node answered with status "+strconv.Itoa(resp.StatusCode)+" and no reason.", err)
	}
	return p.Fault()
}
