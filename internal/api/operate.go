package api

import (
	"context"
	"strconv"

	"entente/internal/actor"
	"entente/internal/flow"
)

func (d *Door) figures(ctx context.Context, who actor.Actor, _ None) (List[LinkFigures], error) {
	views, err := d.house.Links(ctx, who)
	if err != nil {
		return List[LinkFigures]{}, err
	}
	out := List[LinkFigures]{Items: []LinkFigures{}}
	for _, v := range views {
		out.Items = append(out.Items, LinkFigures{Link: v.ID, Alias: v.Alias, Figures: figuresOf(v.Figures)})
	}
	return out, nil
}

type auditIn struct {
	Before int64 `query:"before" doc:"Only those below this number."`
	Limit  int   `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) audit(ctx context.Context, who actor.Actor, in auditIn) (List[Audit], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Audit]{}, err
	}
	rows, err := d.house.Audits(ctx, who, in.Before, limit)
	if err != nil {
		return List[Audit]{}, err
	}
	out := List[Audit]{Items: []Audit{}}
	for _, e := range rows {
		out.Items = append(out.Items, Audit{Number: e.Number, At: instant(e.At), Who: e.Who, Act: e.Act, Object: e.Object})
	}
	if n := len(rows); n == limit && rows[n-1].Number > 0 {
		out.Next = strconv.FormatInt(rows[n-1].Number, 10)
	}
	return out, nil
}

type evidenceIn struct {
	Link  string `query:"link" doc:"Only that of one link."`
	Limit int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) evidence(ctx context.Context, who actor.Actor, in evidenceIn) (List[Evidence], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Evidence]{}, err
	}
	link, err := d.linkID(ctx, who, in.Link)
	if err != nil {
		return List[Evidence]{}, err
	}
	rows, err := d.house.Evidence(ctx, who, link, limit)
	if err != nil {
		return List[Evidence]{}, err
	}
	out := List[Evidence]{Items: []Evidence{}}
	for _, e := range rows {
		out.Items = append(out.Items, Evidence{Link: e.Link, Kind: e.Kind, At: instant(e.At), Note: e.Note, Data: e.Data})
	}
	return out, nil
}

func (d *Door) doctor(ctx context.Context, who actor.Actor, _ None) (List[Check], error) {
	checks, err := d.op.Doctor(ctx, who)
	if err != nil {
		return List[Check]{}, err
	}
	if checks == nil {
		checks = []Check{}
	}
	return List[Check]{Items: checks}, nil
}

type backupIn struct {
	Body BackupRequest `body:"json"`
}

func (d *Door) backup(ctx context.Context, who actor.Actor, in backupIn, p flow.Progress) (Backup, error) {
	return d.op.Backup(ctx, who, in.Body.To, p)
}
