package api

import (
	"context"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
)

// maxValidity bounds how long a version may be valid, so that it can be told from a slip.
const maxValidity = int64(30 * 366 * 24 * time.Hour / 1e9)

func (d *Door) keys(ctx context.Context, who actor.Actor, _ None) (Keys, error) {
	own, err := d.house.Keys(ctx, who)
	if err != nil {
		return Keys{}, err
	}
	chain := d.house.Self()
	latest := chain.Latest()
	out := Keys{Party: chain.ID, Storage: latest.KeyStorage, Versions: []KeyVersion{},
		Recovery: Quorum{latest.Recovery.Need, len(latest.Recovery.Keys)}, Prepared: own.Prepared, Forged: len(own.Forged)}
	for _, v := range own.Versions {
		k := KeyVersion{Version: v.Identity.Version, Hash: v.Hash, NotBefore: instant(v.Identity.NotBefore), NotAfter: instant(v.Identity.NotAfter),
			Recovered: v.Recovered, Signs: v.Signs, Opens: v.Opens, OverlapEnd: maybe(v.OverlapEnd), Destroyed: maybe(v.Destroyed)}
		if since := v.Identity.CompromiseSince; since != nil {
			k.Compromised = maybe(*since)
		}
		out.Versions = append(out.Versions, k)
	}
	return out, nil
}

type renewalIn struct {
	Body Renewal `body:"json"`
}

func (in renewalIn) renewal() (flow.Renewal, error) {
	b := in.Body
	if b.Validity < 0 || b.Validity > maxValidity {
		return flow.Renewal{}, fault.New(fault.Invalid, "validity", "Say in validity for how many seconds the new version is to hold, 30 years at most.")
	}
	r := flow.Renewal{Names: b.Names, Authority: b.Authority, Validity: time.Duration(b.Validity) * time.Second, Recovery: b.Recovery}
	if b.Compromised != nil {
		r.CompromiseSince = b.Compromised.UnixMicro()
	}
	return r, nil
}

func (d *Door) rotate(ctx context.Context, who actor.Actor, in renewalIn) (Keys, error) {
	r, err := in.renewal()
	if err != nil {
		return Keys{}, err
	}
	if r.Recovery != nil {
		return Keys{}, fault.New(fault.Invalid, "recovery", "Recovery keys change only where the recovery quorum signs; prepare a recovery instead.")
	}
	if err := d.house.Rotate(ctx, who, r); err != nil {
		return Keys{}, err
	}
	return d.keys(ctx, who, None{})
}

func (d *Door) prepareRecovery(ctx context.Context, who actor.Actor, in renewalIn) (Prepared, error) {
	r, err := in.renewal()
	if err != nil {
		return Prepared{}, err
	}
	document, err := d.house.PrepareRecovery(ctx, who, r)
	return Prepared{document}, err
}

type signedIn struct {
	Body Signed `body:"json"`
}

func (d *Door) finishRecovery(ctx context.Context, who actor.Actor, in signedIn) (Keys, error) {
	if err := d.house.FinishRecovery(ctx, who, in.Body.Documents); err != nil {
		return Keys{}, err
	}
	return d.keys(ctx, who, None{})
}

func (d *Door) cancelRecovery(ctx context.Context, who actor.Actor, _ None) (Keys, error) {
	if err := d.house.CancelRecovery(ctx, who); err != nil {
		return Keys{}, err
	}
	return d.keys(ctx, who, None{})
}

func suspicionOf(s *flow.Suspicion) *Suspicion {
	if s == nil {
		return nil
	}
	return &Suspicion{Since: instant(s.Since), Version: s.Version}
}
