package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/internal/accord"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
)

type leavesIn struct {
	Link  string  `path:"link" doc:"Alias, id, or a prefix of the id."`
	Party string  `path:"party" doc:"own, peer, or a party's id."`
	Epoch *uint32 `query:"epoch" doc:"The current one without it."`
	From  int64   `query:"from" doc:"The index of the first leaf."`
	Limit int     `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) leaves(ctx context.Context, who actor.Actor, in leavesIn) (List[Leaf], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Leaf]{}, err
	}
	if in.From < 0 {
		return List[Leaf]{}, fault.New(fault.Invalid, "from", "Leaves are counted from 0.")
	}
	link, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return List[Leaf]{}, err
	}
	whose, epoch, err := d.ledgerOf(link, in.Party)
	if err != nil {
		return List[Leaf]{}, err
	}
	if in.Epoch != nil {
		epoch = *in.Epoch
	}
	entries, err := d.house.Ledger(ctx, who, link.ID, whose, epoch, in.From, limit)
	if err != nil {
		return List[Leaf]{}, err
	}
	out := List[Leaf]{Items: []Leaf{}}
	for _, e := range entries {
		out.Items = append(out.Items, Leaf{Party: e.Party, Epoch: e.Epoch, Index: e.Index, Leaf: jsontext.Value(e.Leaf), Bytes: e.Leaf})
	}
	if len(entries) == limit {
		out.Next = strconv.FormatInt(entries[limit-1].Index+1, 10)
	}
	return out, nil
}

// ledgerOf says whose ledger a name means, and its current epoch.
func (d *Door) ledgerOf(link flow.LinkView, name string) (party.ID, uint32, error) {
	self := d.house.Self().ID
	switch name {
	case "own", self.String():
		return self, link.OwnEpoch, nil
	case "peer", link.Peer.String():
		return link.Peer, link.PeerEpoch, nil
	}
	return party.ID{}, 0, fault.New(fault.NotFound, "party", "The link has the ledgers own and peer, and no other.")
}

func (d *Door) verify(ctx context.Context, who actor.Actor, in linkIn, p flow.Progress) (Verification, error) {
	link, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Verification{}, err
	}
	r, err := d.house.VerifyLedger(ctx, who, link.ID, p)
	if err != nil {
		return Verification{}, err
	}
	out := Verification{OK: r.OK, Evidence: r.Evidence, Logs: []LogReport{}, Differences: []Difference{}}
	for _, l := range r.Logs {
		out.Logs = append(out.Logs, LogReport{
			Party: l.Party, Epoch: l.Epoch, Size: l.Size, Root: l.Root, Cosigned: l.Cosigned, CosignedAt: maybe(l.CosignedAt), Faults: l.Faults,
		})
	}
	for _, x := range r.Differences {
		out.Differences = append(out.Differences, Difference{
			Author: x.Author, Kind: x.Kind, Lane: x.Lane, Seq: x.Seq, Header: x.Header, Age: int64(x.Age / time.Second),
		})
	}
	return out, nil
}

func (d *Door) witnesses(ctx context.Context, who actor.Actor, in linkIn) (Witnessing, error) {
	id, err := d.house.LinkID(ctx, who, in.Link)
	if err != nil {
		return Witnessing{}, err
	}
	return d.op.Witnesses(ctx, who, id)
}

func (d *Door) cut(ctx context.Context, who actor.Actor, in linkIn) (Cut, error) {
	link, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Cut{}, err
	}
	c, err := d.house.CommonCut(ctx, link.ID)
	return Cut{Sizes: c.Sizes}, err
}

type foldIn struct {
	Link  string `path:"link" doc:"Alias, id, or a prefix of the id."`
	Sizes string `query:"sizes" need:"yes" doc:"The cut: party:size for both parties, with a comma between."`
}

func (d *Door) fold(ctx context.Context, who actor.Actor, in foldIn) (Fold, error) {
	link, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return Fold{}, err
	}
	sizes, err := parseSizes(in.Sizes, d.house.Self().ID, link.Peer)
	if err != nil {
		return Fold{}, err
	}
	h, columns, err := d.house.FoldHash(ctx, link.ID, flow.Cut{Sizes: sizes})
	return Fold{Sizes: sizes, Hash: h, Columns: columns}, err
}

type reportIn struct {
	Link  string    `path:"link" doc:"Alias, id, or a prefix of the id."`
	From  time.Time `query:"from" need:"yes" doc:"Requests received at or after this instant."`
	To    time.Time `query:"to" need:"yes" doc:"Requests received before this instant."`
	Sizes string    `query:"sizes" doc:"The cut: party:size for both parties, with a comma between. The newest common cut without it."`
}

func (d *Door) report(ctx context.Context, who actor.Actor, in reportIn) (accord.Report, error) {
	link, err := d.house.FindLink(ctx, who, in.Link)
	if err != nil {
		return accord.Report{}, err
	}
	var cut *flow.Cut
	if in.Sizes != "" {
		sizes, err := parseSizes(in.Sizes, d.house.Self().ID, link.Peer)
		if err != nil {
			return accord.Report{}, err
		}
		cut = &flow.Cut{Sizes: sizes}
	}
	return d.house.StatusReport(ctx, who, link.ID, accord.Period{From: in.From.UnixMicro(), To: in.To.UnixMicro()}, cut)
}

// parseSizes reads the cut of a link between two parties: both must be there, and nobody else.
func parseSizes(text string, a, b party.ID) (map[party.ID]int64, error) {
	sizes := map[party.ID]int64{}
	for item := range strings.SplitSeq(text, ",") {
		id, size, _ := strings.Cut(item, ":")
		n, err := strconv.ParseInt(size, 10, 64)
		p, bad := envelope.ParseHash(id)
		if err != nil || n < 0 || bad != nil || p != a && p != b {
			return nil, fault.New(fault.Invalid, "sizes", "Name the cut as party:size,party:size with the ids of the link's two parties.")
		}
		sizes[p] = n
	}
	if len(sizes) != 2 {
		return nil, fault.New(fault.Invalid, "sizes", "The cut must have a size for each of the link's two parties.")
	}
	return sizes, nil
}
