package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"entente/internal/fault"
	"entente/internal/node"
)

// owed is the step in which both sides list the same obligations, Kestria keeps a thread under a legal hold, and then deletes all of
// it and says so.
func (s *story) owed(ctx context.Context) error {
	var lists []string
	err := s.either(func(own, _ *side) error {
		list, err := own.client.Obligations(ctx, node.ObligationFilter{})
		var b strings.Builder
		for _, o := range list.Items {
			fmt.Fprintln(&b, o.Number, o.Duty, o.By, o.Since, o.Until, o.State)
		}
		lists = append(lists, b.String())
		return err
	})
	if err != nil {
		return err
	}
	if lists[0] != lists[1] || !strings.Contains(lists[0], s.preservation+" preserve ") || !strings.Contains(lists[0], s.granted+" stated_use_only ") {
		return fmt.Errorf("the lists of what is owed differ, or lack what was said:\n%s\n%s", lists[0], lists[1])
	}
	r, err := s.kestria.client.Request(ctx, s.granted)
	if err != nil {
		return err
	}
	name := r.Request.Statement.String()
	if _, err := s.kestria.client.PlaceHold(ctx, name, "Order 4711 of the court of Kestria"); err != nil {
		return err
	}
	if _, err := s.kestria.client.Erase(ctx, name, node.EraseOrder{Reason: "order"}); fault.CodeOf(err) != "legal_hold" {
		return fmt.Errorf("what is under a legal hold was not kept: %v", err)
	}
	if _, err := s.kestria.client.LiftHold(ctx, name, "The order was withdrawn"); err != nil {
		return err
	}
	for _, w := range slices.Backward(r.Timeline) { // the request itself at last, which tells that the whole thread is deleted
		c := w.Statement.Commitment.String()
		if _, err := s.kestria.client.Erase(ctx, c, node.EraseOrder{Reason: "order", Tell: c == name}); err != nil {
			return err
		}
	}
	err = s.either(func(own, _ *side) error {
		return until(ctx, func() (bool, error) {
			list, err := own.client.ObligationsOf(ctx, s.granted)
			return slices.ContainsFunc(list, func(o node.Obligation) bool {
				return o.Duty == "delete" && o.By == s.result.Figures.Kestria && o.State == "done"
			}), err
		})
	})
	if err != nil {
		return err
	}
	return s.fold(ctx)
}
