package api

import (
	"context"
	"strings"

	"entente/handling"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

type desksIn struct {
	Link string `query:"link" doc:"Only those of one link."`
}

func (d *Door) desks(ctx context.Context, who actor.Actor, in desksIn) (List[Desk], error) {
	link, err := d.linkID(ctx, who, in.Link)
	if err != nil {
		return List[Desk]{}, err
	}
	views, err := d.house.Desks(ctx, who, link)
	if err != nil {
		return List[Desk]{}, err
	}
	out := List[Desk]{Items: []Desk{}}
	for _, v := range views {
		out.Items = append(out.Items, deskOf(v))
	}
	return out, nil
}

type proposeIn struct {
	Body NewDesk `body:"json"`
}

func (d *Door) proposeDesk(ctx context.Context, who actor.Actor, in proposeIn) (Said, error) {
	v, err := d.house.FindLink(ctx, who, in.Body.Link)
	if err != nil {
		return Said{}, err
	}
	return d.sayDesk(ctx, who, v.ID, nil, "desk.propose", d.deskFace(in.Body.Proposal), in.Body.Proposal.Body)
}

type updateIn struct {
	Desk string       `path:"desk" doc:"Its id, or a prefix of at least 8 digits."`
	Body DeskProposal `body:"json"`
}

func (d *Door) updateDesk(ctx context.Context, who actor.Actor, in updateIn) (Said, error) {
	v, err := d.findDesk(ctx, who, in.Desk, true)
	if err != nil {
		return Said{}, err
	}
	return d.sayDesk(ctx, who, v.Link, &v.ID, "desk.update", d.deskFace(in.Body), in.Body.Body)
}

type deskIn struct {
	Desk string `path:"desk" doc:"Its id, or a prefix of at least 8 digits."`
}

func (d *Door) countersignDesk(ctx context.Context, who actor.Actor, in deskIn) (Said, error) {
	v, err := d.findDesk(ctx, who, in.Desk, false)
	if err != nil {
		return Said{}, err
	}
	return d.sayDesk(ctx, who, v.Link, &v.ID, "desk.countersign", statement.DeskCountersignFace{Desk: v.Latest}, statement.EmptyBody{})
}

type withdrawIn struct {
	Desk string     `path:"desk" doc:"Its id, or a prefix of at least 8 digits."`
	Body Withdrawal `body:"json"`
}

func (d *Door) withdrawDesk(ctx context.Context, who actor.Actor, in withdrawIn) (Said, error) {
	v, err := d.findDesk(ctx, who, in.Desk, true)
	if err != nil {
		return Said{}, err
	}
	return d.sayDesk(ctx, who, v.Link, &v.ID, "desk.withdraw", statement.DeskWithdrawFace{Reason: in.Body.Reason}, statement.EmptyBody{})
}

// sayDesk sends a statement about a desk, in the lane where its kind stands.
func (d *Door) sayDesk(ctx context.Context, who actor.Actor, link statement.LinkID, thread *statement.Commitment, kind string, face, body any) (Said, error) {
	k, ok := statement.LookUp(statement.KindsEdition, kind)
	if !ok || len(k.Lanes) == 0 {
		return Said{}, fault.New(fault.Internal, "kind", "This build does not know the kind "+kind+".")
	}
	c, err := d.house.Send(ctx, who, flow.Draft{
		Link: link, Lane: k.Lanes[0], Kind: kind, Thread: thread, Zone: zoneOf,
		Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: body,
	}, nil)
	return Said{Statement: c}, err
}

func (d *Door) deskFace(p DeskProposal) statement.DeskFace {
	from := p.ValidFrom
	if from.IsZero() {
		from = d.now()
	}
	face := statement.DeskFace{Role: p.Role, Standing: p.Standing, ValidFrom: from.UnixMicro()}
	if p.ValidTo != nil {
		face.ValidTo = p.ValidTo.UnixMicro()
	}
	return face
}

// shortest is the shortest prefix of a commitment that may name something.
const shortest = 8

// findDesk finds a desk of ours, or of a peer's, by a prefix of its id, for who may say something of it: others are refused before they
// learn whether there is one.
func (d *Door) findDesk(ctx context.Context, who actor.Actor, name string, ours bool) (flow.DeskView, error) {
	if len(name) < shortest {
		return flow.DeskView{}, fault.New(fault.Invalid, "desk", "Name the desk by its id, or by a prefix of at least 8 digits.")
	}
	views, err := d.house.DesksToChange(ctx, who)
	if err != nil {
		return flow.DeskView{}, err
	}
	var found []flow.DeskView
	for _, v := range views {
		if strings.HasPrefix(v.ID.String(), name) {
			found = append(found, v)
		}
	}
	switch {
	case len(found) == 0:
		return flow.DeskView{}, fault.New(fault.NotFound, "desk", "There is no such desk; list the desks to see their ids.")
	case len(found) > 1:
		return flow.DeskView{}, fault.New(fault.Conflict, "ambiguous", "More than one desk has an id that begins so; give more digits.")
	case found[0].Ours != ours && ours:
		return flow.DeskView{}, fault.New(fault.Forbidden, "desk_owner", "The desk is the other party's; only its owner can change or withdraw it.")
	case found[0].Ours != ours:
		return flow.DeskView{}, fault.New(fault.Forbidden, "desk_owner", "The desk is ours; only the other party can countersign it.")
	}
	return found[0], nil
}

func deskOf(v flow.DeskView) Desk {
	out := Desk{
		ID: v.ID, Link: v.Link, LinkAlias: v.LinkAlias, Owner: v.Owner, Ours: v.Ours, State: v.State, Role: v.Role, Standing: v.Standing,
		ValidFrom: instant(v.ValidFrom), ValidTo: maybe(v.ValidTo), Latest: v.Latest, Body: v.Body,
	}
	if !v.Active.IsZero() {
		out.Active = &v.Active
	}
	return out
}
