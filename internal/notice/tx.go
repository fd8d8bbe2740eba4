package notice

import "context"

// Filter narrows the list of a webhook's deliveries; a zero State means all.
type Filter struct {
	Hook   string
	State  DeliveryState
	Before int64 // created strictly before; 0: from the newest on
	Limit  int
}

// Tx is what this room needs of a transaction. A read of what is not there gives a fault of kind NotFound.
type Tx interface {
	PutHook(ctx context.Context, h Hook) error // inserts or updates by id
	Hook(ctx context.Context, id string) (Hook, error)
	Hooks(ctx context.Context) ([]Hook, error)     // oldest first
	DropHook(ctx context.Context, id string) error // with its deliveries

	// AddDeliveries inserts; one that is there already, by its webhook and its event, stays as it is.
	AddDeliveries(ctx context.Context, ds ...Delivery) error
	SetDelivery(ctx context.Context, d Delivery) error // what an attempt changes
	Delivery(ctx context.Context, hook, id string) (Delivery, error)
	Deliveries(ctx context.Context, f Filter) ([]Delivery, error)                               // newest first
	ReadyDeliveries(ctx context.Context, hook string, now int64, limit int) ([]Delivery, error) // that wait and may be tried, oldest first
	// GiveUpDeliveries gives up those that wait, but for the newest so many; ReviveDeliveries lets all that were given up wait again.
	GiveUpDeliveries(ctx context.Context, hook string, but int, code string, now int64) error
	ReviveDeliveries(ctx context.Context, hook string, now int64) error
	// DropDeliveries removes those that ended: all that ended before a time, and of the others all but the newest so many.
	DropDeliveries(ctx context.Context, hook string, before int64, but int) error
}
