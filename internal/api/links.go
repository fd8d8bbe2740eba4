package api

import (
	"context"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"
)

// instant is a time from UTC microseconds.
func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// maybe is instant, with nil for zero.
func maybe(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	t := instant(micros)
	return &t
}

func (d *Door) self(context.Context, actor.Actor, None) (Self, error) {
	chain := d.house.Self()
	latest := chain.Latest()
	return Self{
		Party: chain.ID, Fingerprint: party.Fingerprint(chain.ID), Names: latest.Names, Authority: latest.Authority,
		Version: latest.Version, KeyStorage: latest.KeyStorage, NotAfter: instant(latest.NotAfter),
		Endpoint: d.endpoint, Release: d.release,
	}, nil
}

type inviteIn struct {
	Body InvitationRequest `body:"json"`
}

func (d *Door) invite(ctx context.Context, who actor.Actor, in inviteIn) (flow.Invitation, error) {
	offer := statement.DefaultAgreement()
	if in.Body.Agreement != nil {
		offer = *in.Body.Agreement
	}
	if in.Body.Valid < 1 || in.Body.Valid > maxAgree {
		return flow.Invitation{}, fault.New(fault.Invalid, "valid", "Say in valid for how many seconds the invitation can be used, a year at most.")
	}
	inv, err := d.house.Invite(ctx, who, in.Body.Alias, offer, time.Duration(in.Body.Valid)*time.Second)
	if err != nil {
		return flow.Invitation{}, err
	}
	return *inv, nil
}

type acceptIn struct {
	Body LinkRequest `body:"json"`
}

func (d *Door) accept(ctx context.Context, who actor.Actor, in acceptIn) (Link, error) {
	encoded, err := in.Body.Invitation.Encode()
	if err != nil {
		return Link{}, err
	}
	inv, err := flow.DecodeInvitation(encoded)
	if err != nil {
		return Link{}, err
	}
	id, err := d.op.Accept(ctx, who, in.Body.Alias, inv)
	if err != nil {
		return Link{}, err
	}
	return d.link(ctx, who, linkIn{Link: id.String()})
}

func (d *Door) answerInvitation(ctx context.Context, who actor.Actor, in acceptIn) (PairingFile, error) {
	encoded, err := in.Body.Invitation.Encode()
	if err != nil {
		return PairingFile{}, err
	}
	inv, err := flow.DecodeInvitation(encoded)
	if err != nil {
		return PairingFile{}, err
	}
	file, err := d.house.PairByFile(ctx, who, in.Body.Alias, inv)
	return PairingFile{File: file}, err
}

type pairingIn struct {
	Body PairingFile `body:"json"`
}

func (d *Door) continuePairing(ctx context.Context, who actor.Actor, in pairingIn) (Pairing, error) {
	f, err := flow.DecodePairFile(in.Body.File)
	if err != nil {
		return Pairing{}, err
	}
	id, file, err := d.house.PairOn(ctx, who, f)
	if err != nil {
		return Pairing{}, err
	}
	d.op.LinkMade()
	link, err := d.link(ctx, who, linkIn{Link: id.String()})
	return Pairing{Link: link, File: file}, err
}

func (d *Door) links(ctx context.Context, who actor.Actor, _ None) (List[Link], error) {
	views, err := d.house.Links(ctx, who)
	if err != nil {
		return List[Link]{}, err
	}
	out := List[Link]{Items: []Link{}}
	for _, v := range views {
		out.Items = append(out.Items, d.linkOf(v))
	}
	return out, nil
}

type linkIn struct {
	Link string `path:"link" doc:"Alias, id, or a prefix of the id."`
}

func (d *Door) link(ctx context.Context, who actor.Actor, in linkIn) (Link, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Link{}, err
	}
	l := d.linkOf(v)
	l.Agreement = &v.Agreement
	return l, nil
}

type confirmIn struct {
	Link string       `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body Confirmation `body:"json"`
}

func (d *Door) confirm(ctx context.Context, who actor.Actor, in confirmIn) (Said, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Said{}, err
	}
	c, err := d.house.Confirm(ctx, who, v.ID, in.Body.Method, in.Body.Person, in.Body.Function, in.Body.Note)
	return Said{Statement: c}, err
}

type agreeIn struct {
	Link string    `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body Agreement `body:"json"`
}

func (d *Door) agree(ctx context.Context, who actor.Actor, in agreeIn) (Said, error) {
	if (in.Body.Edition == "") == (in.Body.Proposal == nil) {
		return Said{}, fault.New(fault.Invalid, "agreement", "Name either an edition, or a proposal of the other party.")
	}
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Said{}, err
	}
	var proposal envelope.Hash
	if in.Body.Proposal != nil {
		proposal = *in.Body.Proposal
	}
	c, err := d.house.Agree(ctx, who, v.ID, in.Body.Edition, proposal)
	return Said{Statement: c}, err
}

type suspendIn struct {
	Link string     `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body Suspension `body:"json"`
}

func (d *Door) suspend(ctx context.Context, who actor.Actor, in suspendIn) (Said, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Said{}, err
	}
	c, err := d.house.SuspendLanes(ctx, who, v.ID, in.Body.Lanes, in.Body.Reason, in.Body.Words)
	return Said{Statement: c}, err
}

type resumeIn struct {
	Link string     `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body Resumption `body:"json"`
}

func (d *Door) resume(ctx context.Context, who actor.Actor, in resumeIn) (Said, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Said{}, err
	}
	c, err := d.house.ResumeLanes(ctx, who, v.ID, in.Body.Lanes, in.Body.Words)
	return Said{Statement: c}, err
}

type withdrawLinkIn struct {
	Link string         `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body LinkWithdrawal `body:"json"`
}

func (d *Door) withdraw(ctx context.Context, who actor.Actor, in withdrawLinkIn) (Said, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Said{}, err
	}
	c, err := d.house.Withdraw(ctx, who, v.ID, in.Body.Reason, in.Body.Words)
	return Said{Statement: c}, err
}

type openEpochIn struct {
	Link string       `path:"link" doc:"Alias, id, or a prefix of the id."`
	Body EpochRequest `body:"json"`
}

func (d *Door) openEpoch(ctx context.Context, who actor.Actor, in openEpochIn) (EpochOpened, error) {
	v, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return EpochOpened{}, err
	}
	epoch, err := d.house.OpenEpoch(ctx, who, v.ID, in.Body.Reason)
	return EpochOpened{Epoch: epoch}, err
}

func (d *Door) linkOf(v flow.LinkView) Link {
	l := Link{
		ID: v.ID, Alias: v.Alias, State: v.State,
		Peer: Peer{Party: v.Peer, Names: v.PeerNames, Fingerprint: v.PeerFingerprint, Endpoint: v.Endpoint,
			Version: v.PeerVersion, Contested: v.PeerContested},
		Inviter: v.Inviter, Created: instant(v.Created),
		Code:          Code{Digits: v.Digits, Words: map[string][]string{"en": v.WordsEN, "zh": v.WordsZH}},
		Reach:         v.Reach(d.endpoint != ""),
		AgreementHash: v.AgreementHash, OwnEpoch: v.OwnEpoch, PeerEpoch: v.PeerEpoch,
		Figures: figuresOf(v.Figures),
	}
	if v.PeerCompromised != nil {
		l.Peer.Compromised = maybe(*v.PeerCompromised)
	}
	for _, p := range v.Proposals {
		l.Proposals = append(l.Proposals, Proposal{Agreement: p.Hash, Ours: p.Ours, Edition: p.Kinds})
	}
	if p := v.Epochs.Progress; v.Catching != exchange.CaughtUp && v.Catching != exchange.ReadOnly {
		l.CatchingUp = &CatchingUp{Frozen: v.Catching == exchange.Frozen, Known: p.Known, Done: p.Done, Total: p.Total}
	}
	for _, e := range v.Epochs.Ended {
		l.EndedEpochs = append(l.EndedEpochs, EndedEpoch{Ours: e.Ours, Epoch: e.Epoch, Size: e.Size, Cosigned: e.Cosigned})
	}
	for _, u := range v.Epochs.Unknown {
		l.Unknown = append(l.Unknown, UnknownRange{Epoch: u.Epoch, Lane: u.Lane, From: u.From, To: u.To})
	}
	for _, s := range v.Suspended {
		l.Suspended = append(l.Suspended, Suspended{Lane: s.Lane, Ours: s.Ours, Since: maybe(s.At), Reason: s.Reason, Statement: s.Statement})
	}
	for _, x := range v.Withdrawn {
		l.Withdrawn = append(l.Withdrawn, Withdrawn{Ours: x.Ours, Since: maybe(x.At), Reason: x.Reason, Statement: x.Statement})
	}
	return l
}

func figuresOf(f exchange.Figures) Figures {
	return Figures{
		OldestUnreceipted: maybe(f.OldestUnreceipted), Sending: f.Sending, Unsaid: f.Unsaid, Arriving: f.Arriving,
		Unsettled: f.Unsettled, Sent: f.Sent, Held: f.Held, Awaited: f.Waiting, UncosignedOwn: f.UncosignedOwn, UncosignedPeer: f.UncosignedPeer,
		CosignedAt: maybe(f.CosignedAt), Gaps: f.Gaps,
	}
}

// linkID resolves the name of a link that may be absent.
func (d *Door) linkID(ctx context.Context, who actor.Actor, name string) (*statement.LinkID, error) {
	if name == "" {
		return nil, nil
	}
	id, err := d.house.LinkID(ctx, who, name)
	if err != nil {
		return nil, err
	}
	return &id, nil
}
