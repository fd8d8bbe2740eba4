package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

// MaxInvitation bounds an encoded invitation in bytes.
const MaxInvitation = 256 << 10

// Invitation is what one party hands to the other, as a file: strict JSON. Who holds it may try to pair once; it
// proves nothing by itself, since people compare the short code afterwards.
type Invitation struct {
	V        int      `json:"v"`
	Identity [][]byte `json:"identity"` // the inviter's chain, encoded envelopes, oldest first
	Endpoint string   `json:"endpoint"` // empty if its node cannot be reached: then by files alone
	Token    []byte   `json:"token"`    // 32 bytes, used once
	// Commit is the inviter's commitment, for an answer by a file; over the network it is asked for.
	Commit  *envelope.Hash `json:"commit,omitzero"`
	Offer   []byte         `json:"offer"` // encoded statement.Agreement
	Expires int64          `json:"expires"`
}

// Encode gives the file's bytes.
func (i Invitation) Encode() ([]byte, error) { return envelope.Marshal(i) }

// DecodeInvitation reads a file strictly.
func DecodeInvitation(data []byte) (*Invitation, error) {
	bad := func(err error) error {
		return fault.Wrap(fault.Invalid, "invitation", "This is not an invitation, or it was damaged on the way; ask the other party for it again.", err)
	}
	if len(data) > MaxInvitation {
		return nil, bad(fmt.Errorf("%d bytes", len(data)))
	}
	var i Invitation
	if err := envelope.Unmarshal(data, &i); err != nil {
		return nil, bad(err)
	}
	if i.V != 1 || len(i.Token) != 32 || len(i.Identity) == 0 {
		return nil, bad(fmt.Errorf("version %d, token of %d bytes, %d identities", i.V, len(i.Token), len(i.Identity)))
	}
	switch {
	case i.Commit != nil && i.Commit.IsZero():
		return nil, bad(fmt.Errorf("the commitment is zero"))
	case i.Endpoint == "" && i.Commit != nil:
	default:
		if err := CheckEndpoint(i.Endpoint); err != nil {
			return nil, bad(err)
		}
	}
	offer, err := statement.DecodeAgreement(i.Offer)
	if err != nil {
		return nil, bad(err)
	}
	if err := carried(offer); err != nil {
		return nil, err
	}
	return &i, nil
}

// CheckEndpoint accepts an https origin: scheme, host, optional port, nothing else.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || len(endpoint) > 300 || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fault.New(fault.Invalid, "endpoint", "An endpoint is written like https://node.example:7443, without a path.")
	}
	return nil
}

// carried refuses an agreement on modes that this node does not carry, on either side and before anything is paired: what is said by
// mail would never leave.
func carried(a *statement.Agreement) error {
	for _, mode := range a.Modes {
		if mode == "mail" {
			return fault.New(fault.Invalid, "mode", fmt.Sprintf("This node does not carry the mode %q; agree on https, courier or both, or on oneway.", mode))
		}
	}
	return nil
}

var aliasForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (h *House) freeAlias(ctx context.Context, tx Tx, alias string) error {
	if !aliasForm.MatchString(alias) {
		return fault.New(fault.Invalid, "alias", "A link's name has 1 to 40 small letters, digits and hyphens, for example kestria.")
	}
	links, err := tx.Links(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(links, func(l exchange.Link) bool { return l.Alias == alias }) {
		return fault.New(fault.Conflict, "alias", "A link of this name exists already; choose another name.")
	}
	return nil
}

// Invite makes an invitation. alias is our local name for the link to be. Without an endpoint it can be accepted by files alone.
func (h *House) Invite(ctx context.Context, who actor.Actor, alias string, offer statement.Agreement, valid time.Duration) (*Invitation, error) {
	if err := who.May(actor.Govern); err != nil {
		return nil, err
	}
	encoded, err := offer.Encode()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "agreement", "The link agreement is not valid.", err)
	}
	if err := carried(&offer); err != nil {
		return nil, err
	}
	token := make([]byte, 32)
	rand.Read(token)
	row := exchange.Invitation{TokenHash: envelope.Sum(token), Alias: alias, Agreement: encoded,
		Expires: h.now() + valid.Microseconds(), State: "open"}
	rand.Read(row.Nonce[:])
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if err := h.freeAlias(ctx, tx, alias); err != nil {
			return err
		}
		if err := tx.PutInvitation(ctx, row); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "invite", alias)
	})
	if err != nil {
		return nil, err
	}
	commit := party.PairCommit(row.Nonce, h.self, encoded)
	return &Invitation{V: 1, Identity: h.Self().Envelopes, Endpoint: h.cfg.Endpoint, Token: token, Commit: &commit, Offer: encoded, Expires: row.Expires}, nil
}

func spent() error {
	return fault.New(fault.NotFound, "token", "This invitation is unknown, used or expired; ask the other party for a new one.")
}

// PairHello is the inviter's first answer: its commitment. It may be asked again until the reveal.
func (h *House) PairHello(ctx context.Context, token []byte) (envelope.Hash, error) {
	var commit envelope.Hash
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		inv, err := tx.Invitation(ctx, envelope.Sum(token))
		if notFound(err) {
			return spent()
		}
		if err != nil {
			return err
		}
		if inv.State == "used" || inv.State == pairAnswered || inv.Expires <= h.now() {
			return spent()
		}
		commit = party.PairCommit(inv.Nonce, h.self, inv.Agreement)
		inv.State = "committed"
		return tx.PutInvitation(ctx, inv)
	})
	return commit, err
}

// PairReveal is the inviter's second answer: it takes the invitee's chain, nonce and endpoint (empty: cannot be reached),
// stores the link and returns the inviter's nonce. transport is the SubjectPublicKeyInfo of the client's certificate;
// it must be the invitee's. Whatever comes, the token is used up: one attempt, or a short code could be ground.
func (h *House) PairReveal(ctx context.Context, token []byte, chain [][]byte, nonce [32]byte, endpoint string, transport []byte) ([32]byte, error) {
	var inv exchange.Invitation
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		var err error
		inv, err = tx.Invitation(ctx, envelope.Sum(token))
		if notFound(err) {
			return spent()
		}
		if err != nil {
			return err
		}
		if inv.State != "committed" || inv.Expires <= h.now() {
			return spent()
		}
		used := inv
		used.State = "used"
		return tx.PutInvitation(ctx, used)
	})
	if err != nil {
		return [32]byte{}, err
	}
	peer, err := party.Verify(h.cfg.Registry, chain)
	if err != nil {
		return [32]byte{}, fault.Wrap(fault.Invalid, "identity", "The identity does not verify.", err)
	}
	if subtle.ConstantTimeCompare(peer.Latest().Transport, transport) != 1 {
		return [32]byte{}, fault.New(fault.Forbidden, "transport", "The connection was not made with the key that the identity names.")
	}
	if endpoint != "" {
		if err := CheckEndpoint(endpoint); err != nil {
			return [32]byte{}, err
		}
	}
	t := party.Transcript{Commit: party.PairCommit(inv.Nonce, h.self, inv.Agreement), A: h.self, B: peer.ID,
		OfferA: inv.Agreement, NonceB: nonce, NonceA: inv.Nonce}
	if err := t.Check(); err != nil {
		return [32]byte{}, fault.Wrap(fault.Invalid, "pairing", "The pairing does not fit together.", err)
	}
	l := exchange.Link{ID: t.Hash(), Alias: inv.Alias, Peer: peer.ID, Endpoint: endpoint, Inviter: true,
		Agreement: inv.Agreement, Created: h.now(), OwnEpoch: 1, PeerEpoch: 1}
	err = h.linking(ctx, peer.ID, func(tx Tx) error {
		used := inv
		used.State, used.Link = "used", l.ID
		if err := tx.PutInvitation(ctx, used); err != nil {
			return err
		}
		return h.openLink(ctx, tx, l, peer)
	})
	if err != nil {
		return [32]byte{}, err
	}
	return inv.Nonce, nil
}

// PairComplete is the invitee's last step, after the network part that the peer door plays: it checks the inviter's
// commitment and stores the link.
func (h *House) PairComplete(ctx context.Context, who actor.Actor, alias string, inv *Invitation, commit envelope.Hash, nonceB, nonceA [32]byte) (statement.LinkID, error) {
	if err := who.May(actor.Govern); err != nil {
		return statement.LinkID{}, err
	}
	peer, err := party.Verify(h.cfg.Registry, inv.Identity)
	if err != nil {
		return statement.LinkID{}, fault.Wrap(fault.Invalid, "identity", "The identity in the invitation does not verify.", err)
	}
	t := party.Transcript{Commit: commit, A: peer.ID, B: h.self, OfferA: inv.Offer, NonceB: nonceB, NonceA: nonceA}
	if err := t.Check(); err != nil {
		return statement.LinkID{}, fault.Wrap(fault.Forbidden, "commitment",
			"The other side broke its commitment: somebody may stand in between. Pair again over another network.", err)
	}
	l := exchange.Link{ID: t.Hash(), Alias: alias, Peer: peer.ID, Endpoint: strings.TrimRight(inv.Endpoint, "/"),
		Agreement: inv.Offer, Created: h.now(), OwnEpoch: 1, PeerEpoch: 1}
	return l.ID, h.linking(ctx, peer.ID, func(tx Tx) error {
		if err := h.freeAlias(ctx, tx, alias); err != nil {
			return err
		}
		if err := h.audit(ctx, tx, who.Name, "accept", alias); err != nil {
			return err
		}
		return h.openLink(ctx, tx, l, peer)
	})
}

// CheckAlias says early whether a link may have this name, before the network is asked.
func (h *House) CheckAlias(ctx context.Context, alias string) error {
	return h.cfg.Store.View(ctx, func(tx Tx) error { return h.freeAlias(ctx, tx, alias) })
}

// linking runs an act that opens a link, while neither our identity nor what is known of the peer's changes.
func (h *House) linking(ctx context.Context, peer party.ID, act func(Tx) error) error {
	h.turning.Lock()
	defer h.turning.Unlock()
	h.learning.Lock()
	defer h.learning.Unlock()
	defer h.forgetKin(peer)
	return h.cfg.Store.Update(ctx, Normal, act)
}

// openLink writes the row of a new link and the first leaves of our log: epoch, own identity, link.
func (h *House) openLink(ctx context.Context, tx Tx, l exchange.Link, peer *party.Chain) error {
	known, err := tx.Identities(ctx, peer.ID)
	if err != nil {
		return err
	}
	for i, env := range peer.Envelopes {
		put := tx.PutIdentity
		if i < len(known) && !bytes.Equal(known[i], env) { // of another link: a fork, or signed otherwise
			put = tx.PutFork
		}
		if err := put(ctx, peer.ID, i+1, env); err != nil {
			return err
		}
	}
	a, err := statement.DecodeAgreement(l.Agreement)
	if err != nil {
		return fmt.Errorf("reading an offered agreement: %w", err)
	}
	if a.Oneway() { // nothing of it goes over a network
		l.Endpoint = ""
	}
	if err := tx.PutLink(ctx, l); err != nil {
		return err
	}
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return err
	}
	if b.log.Size != 0 {
		return fault.New(fault.Conflict, "link", "This link exists already.")
	}
	own := h.Self()
	version := len(own.Versions)
	for _, first := range []Entry{{Kind: ledger.EpochLeaf, Doc: l.ID}, {Kind: ledger.IdentityLeaf, Doc: own.Hash(version)}, {Kind: ledger.LinkLeaf, Doc: l.ID}} {
		if _, err := b.enter(h.now(), first.Kind, "", 0, first.Doc); err != nil {
			return err
		}
	}
	b.log.Identity = version
	return b.close(ctx, tx)
}

// Confirm says, for a named person, that the short code was compared, and signs the offered agreement.
func (h *House) Confirm(ctx context.Context, who actor.Actor, link statement.LinkID, method, person, function, note string) (statement.Commitment, error) {
	if err := who.May(actor.Govern); err != nil {
		return statement.Commitment{}, err
	}
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return statement.Commitment{}, err
	}
	return h.Send(ctx, who, Draft{
		Link: link, Lane: statement.Control, Kind: "link.confirm", Thread: &link, Zone: "UTC",
		Marking: handling.Marking{TLP: "AMBER"},
		Face:    statement.LinkConfirmFace{Method: method, At: h.now(), Agreement: envelope.Sum(l.Agreement)},
		Body:    statement.LinkConfirmBody{Person: person, Function: function, Note: note, Agreement: l.Agreement},
	}, nil)
}

// LinkView is a link as both columns and our own rows show it.
type LinkView struct {
	exchange.Link
	PeerNames        map[string]string
	PeerFingerprint  string
	PeerVersion      int    // of its identity that stands
	PeerCompromised  *int64 // since when the peer's newest version says that keys before may have been in other hands
	PeerContested    bool   // two versions contest which follows it: nothing is said or taken until its quorum has signed
	State            string // see exchange.LinkStatus
	Digits           string
	WordsEN, WordsZH []string
	Agreement        statement.Agreement // in force, or offered until one is
	AgreementHash    envelope.Hash
	Proposals        []ProposalView // agreements that one party has signed alone
	Figures          exchange.Figures
	Suspended        []SuspensionView
	Withdrawn        []WithdrawalView
	Epochs           EpochsView
}

// Links lists all links by name.
func (h *House) Links(ctx context.Context, who actor.Actor) ([]LinkView, error) {
	return h.views(ctx, who, func(links []exchange.Link) ([]exchange.Link, error) { return links, nil })
}

// views shows the links that choose takes from all there are.
func (h *House) views(ctx context.Context, who actor.Actor, choose func([]exchange.Link) ([]exchange.Link, error)) ([]LinkView, error) {
	if err := who.May(actor.ReadLinks); err != nil {
		return nil, err
	}
	var views []LinkView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		links, err := tx.Links(ctx)
		if err != nil {
			return err
		}
		if links, err = choose(links); err != nil {
			return err
		}
		for _, l := range links {
			view := LinkView{Link: l}
			s, err := h.standing(ctx, tx, l)
			if err != nil {
				return err
			}
			s.show(&view)
			book, err := h.rulebook(ctx, tx, l)
			if err != nil {
				return err
			}
			view.Proposals = book.proposals(s)
			if a, ok := book.agreements[view.AgreementHash]; ok {
				view.Agreement = *a
			}
			if err := h.showEpochs(ctx, tx, &view); err != nil {
				return err
			}
			if view.Figures, err = tx.Figures(ctx, l.ID); err != nil {
				return err
			}
			if t, err := h.terms(l); err != nil {
				return err
			} else if t.way != bothWays { // nobody waits for what cannot come
				view.Figures.OldestUnreceipted, view.Figures.UncosignedOwn = 0, 0
			}
			views = append(views, view)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range views {
		if err := h.describe(ctx, &views[i]); err != nil {
			return nil, err
		}
	}
	return views, nil
}

func (h *House) describe(ctx context.Context, v *LinkView) error {
	peer, err := h.peerKin(ctx, v.ID)
	if err != nil {
		return err
	}
	chain := peer.stands
	v.PeerVersion, v.PeerContested, v.PeerCompromised = len(chain.Versions), peer.contested, chain.Latest().CompromiseSince
	v.PeerNames, v.PeerFingerprint = chain.Latest().Names, party.Fingerprint(chain.ID)
	code := party.CodeOf(v.ID)
	v.Digits = code.Digits()
	if v.WordsEN, err = code.Words("en"); err != nil {
		return err
	}
	if v.WordsZH, err = code.Words("zh"); err != nil {
		return err
	}
	if !v.AgreementHash.IsZero() {
		return nil
	}
	a, err := h.terms(v.Link)
	if err != nil {
		return err
	}
	v.AgreementHash, v.Agreement = a.Agreement.Hash(), a.Agreement
	return nil
}

// FindLink resolves an alias, a full id, or an unambiguous id prefix of at least 8 digits.
func (h *House) FindLink(ctx context.Context, who actor.Actor, name string) (LinkView, error) {
	views, err := h.views(ctx, who, func(links []exchange.Link) ([]exchange.Link, error) {
		l, err := named(links, name)
		return []exchange.Link{l}, err
	})
	if err != nil {
		return LinkView{}, err
	}
	return views[0], nil
}

// LinkID resolves a name as FindLink does, for who needs no more than that.
func (h *House) LinkID(ctx context.Context, who actor.Actor, name string) (statement.LinkID, error) {
	if err := who.May(actor.ReadLinks); err != nil {
		return statement.LinkID{}, err
	}
	if id, ok := h.aliases.Load(name); ok {
		return id.(statement.LinkID), nil
	}
	links, err := h.linkRows(ctx)
	if err != nil {
		return statement.LinkID{}, err
	}
	l, err := named(links, name)
	if err == nil && l.Alias == name {
		h.aliases.Store(name, l.ID)
	}
	return l.ID, err
}

func named(links []exchange.Link, name string) (exchange.Link, error) {
	var found []exchange.Link
	for _, l := range links {
		if l.Alias == name {
			return l, nil
		}
		if len(name) >= 8 && strings.HasPrefix(l.ID.String(), name) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		return exchange.Link{}, fault.New(fault.NotFound, "link", fmt.Sprintf("There is no link %q here; \"entente links\" lists them.", name))
	}
	return found[0], nil
}

// linkColumns are both parties' columns of the link's own thread as far as they were folded.
func (h *House) linkColumns(ctx context.Context, tx Tx, l exchange.Link) (ours, theirs exchange.LinkColumn, err error) {
	for _, side := range []struct {
		author party.ID
		column *exchange.LinkColumn
	}{{h.self, &ours}, {l.Peer, &theirs}} {
		c, err := tx.ColumnAt(ctx, l.ID, l.ID, side.author, ^uint32(0)>>1, 1<<62)
		if err != nil {
			return ours, theirs, err
		}
		if len(c.Data) == 0 {
			continue
		}
		if err := envelope.Unmarshal(c.Data, side.column); err != nil {
			return ours, theirs, fmt.Errorf("reading a column of link %s: %w", l.Alias, err)
		}
	}
	return ours, theirs, nil
}
