package flow

import (
	"context"
	"slices"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/notice"
)

// Webhooks lists the receivers that are told of events, oldest first.
func (h *House) Webhooks(ctx context.Context, who actor.Actor) (list []notice.Hook, err error) {
	if err := who.May(actor.ReadWebhooks); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Hooks(ctx)
		return err
	})
	return list, err
}

// AddWebhook names a receiver, of which k has the address and what it is told. The secret that signs is shown once.
func (h *House) AddWebhook(ctx context.Context, who actor.Actor, k notice.Hook) (notice.Hook, string, error) {
	if err := who.May(actor.ManageWebhooks); err != nil {
		return k, "", err
	}
	k.ID, k.Created = notice.NewID(), h.now()
	if err := k.Check(); err != nil {
		return k, "", err
	}
	secret, shown := notice.NewSecret()
	var err error
	if k.Secret, err = h.cfg.Keys.Wrap(secret, hookName(k.ID)); err != nil {
		return k, "", err
	}
	return k, shown, h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		hooks, err := tx.Hooks(ctx)
		if err != nil {
			return err
		}
		if len(hooks) >= notice.MaxHooks {
			return fault.New(fault.TooLarge, "webhooks", "There are as many webhooks as there may be; remove those that are not needed.")
		}
		if err := tx.PutHook(ctx, k); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "webhook add", k.ID+": "+k.URL)
	})
}

// hookName binds a sealed secret to its webhook.
func hookName(id string) []byte { return []byte("entente/webhook\x00" + id) }

// hookSecrets are those that sign for a webhook now: its own, and for a time the one before.
func (h *House) hookSecrets(k notice.Hook, now int64) (secrets [][]byte, err error) {
	sealed := [][]byte{k.Secret}
	if k.Former != nil && now < k.FormerUntil {
		sealed = append(sealed, k.Former)
	}
	for _, s := range sealed {
		secret, err := h.cfg.Keys.Unwrap(s, hookName(k.ID))
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// onHook changes a webhook in one transaction, and says so in the log.
func (h *House) onHook(ctx context.Context, who actor.Actor, id, act string, f func(Tx, *notice.Hook) error) error {
	if err := who.May(actor.ManageWebhooks); err != nil {
		return err
	}
	if err := notice.ParseID(id); err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		k, err := tx.Hook(ctx, id)
		if notFound(err) {
			return notice.NoHook()
		}
		if err != nil {
			return err
		}
		if err := f(tx, &k); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, act, id)
	})
}

// RemoveWebhook forgets a receiver, and all that it was or was to be told.
func (h *House) RemoveWebhook(ctx context.Context, who actor.Actor, id string) error {
	return h.onHook(ctx, who, id, "webhook remove", func(tx Tx, _ *notice.Hook) error { return tx.DropHook(ctx, id) })
}

// RotateWebhook gives a webhook another secret, which is shown once. The one before signs beside it for a day, so that the receiver can
// change over meanwhile.
func (h *House) RotateWebhook(ctx context.Context, who actor.Actor, id string) (string, error) {
	secret, shown := notice.NewSecret()
	return shown, h.onHook(ctx, who, id, "webhook rotate", func(tx Tx, k *notice.Hook) (err error) {
		k.Former, k.FormerUntil = k.Secret, h.now()+notice.Overlap.Microseconds()
		if k.Secret, err = h.cfg.Keys.Wrap(secret, hookName(id)); err != nil {
			return err
		}
		return tx.PutHook(ctx, *k)
	})
}

// ResumeWebhook lets a receiver be told again that was disabled or is left alone for a while, and tries again what was given up and is
// still kept.
func (h *House) ResumeWebhook(ctx context.Context, who actor.Actor, id string) error {
	return h.onHook(ctx, who, id, "webhook resume", func(tx Tx, k *notice.Hook) error {
		if err := tx.PutHook(ctx, k.Resumed()); err != nil {
			return err
		}
		return tx.ReviveDeliveries(ctx, id, h.now())
	})
}

// TestWebhook tells a receiver of an event that says nothing, and returns the event's id.
func (h *House) TestWebhook(ctx context.Context, who actor.Actor, id string) (event string, err error) {
	err = h.onHook(ctx, who, id, "webhook test", func(tx Tx, k *notice.Hook) error {
		if k.Disabled != 0 {
			return fault.New(fault.Conflict, "webhook_disabled", "This webhook is disabled; let it be told again with: entente webhooks resume "+id)
		}
		d, err := notice.Event{Type: notice.Test, Ref: envelope.NewID().String(), At: h.now()}.New(id)
		if err != nil {
			return err
		}
		event = d.ID
		return tx.AddDeliveries(ctx, d)
	})
	return event, err
}

// Deliveries lists what a receiver was or is to be told, newest first.
func (h *House) Deliveries(ctx context.Context, who actor.Actor, f notice.Filter) (list []notice.Delivery, err error) {
	if err := who.May(actor.ReadWebhooks); err != nil {
		return nil, err
	}
	if !slices.Contains([]notice.DeliveryState{"", notice.Waiting, notice.Delivered, notice.GivenUp}, f.State) {
		return nil, fault.New(fault.Invalid, "state", "A delivery is waiting, delivered or given_up.")
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if _, err := tx.Hook(ctx, f.Hook); err != nil {
			if notFound(err) {
				return notice.NoHook()
			}
			return err
		}
		list, err = tx.Deliveries(ctx, f)
		return err
	})
	return list, err
}
