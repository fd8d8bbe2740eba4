package demo

import (
	"context"
	"fmt"

	"entente/internal/node"
)

// hotline is the step in which Arvenia escalates a request: Kestria's clock runs until a person answers, and both stand down.
func (s *story) hotline(ctx context.Context) error {
	call, err := form("hotline.call", object{"level": "desk", "kind": "escalation"}, object{"sentence": "Which of the logs are kept?", "caller": "Duty officer of Arvenia"})
	if err != nil {
		return err
	}
	called, err := s.arvenia.client.Escalate(ctx, s.preservation, call, nil, nil)
	if err != nil {
		return err
	}
	name := called.Statement.String()
	if err := s.rings(ctx, name, "ringing"); err != nil {
		return err
	}
	rings, err := s.kestria.client.Calls(ctx, node.ThreadFilter{Status: "ringing"})
	if err != nil {
		return err
	}
	if len(rings.Items) != 1 || rings.Items[0].AnswerBy == nil || len(rings.Items[0].Rings) != 1 || rings.Items[0].Rings[0].Desk != s.desk[s.kestria].String() {
		return fmt.Errorf("the call does not ring Kestria's hotline with a clock: %+v", rings.Items)
	}
	for _, w := range []struct {
		who        *side
		kind       string
		face, body object
		then       string
	}{
		{s.kestria, "hotline.acknowledge", nil, object{"person": "Duty officer of Kestria"}, "answered"},
		{s.kestria, "hotline.reply", nil, object{"words": "All of them, until the date that was given."}, "answered"},
		{s.arvenia, "hotline.stand_down", object{"outcome": "settled"}, nil, "standing"},
		{s.kestria, "hotline.stand_down", object{"outcome": "settled"}, nil, "ended"},
	} {
		d, err := form(w.kind, w.face, w.body)
		if err != nil {
			return err
		}
		if _, err := w.who.client.SayOnCall(ctx, name, d, nil, nil); err != nil {
			return fmt.Errorf("saying %s: %w", w.kind, err)
		}
		if err := s.rings(ctx, name, w.then); err != nil {
			return err
		}
	}
	return s.fold(ctx)
}

// rings waits until both sides show a call in a status.
func (s *story) rings(ctx context.Context, call, status string) error {
	return s.either(func(own, _ *side) error {
		return until(ctx, func() (bool, error) {
			list, err := own.client.Calls(ctx, node.ThreadFilter{})
			for _, c := range list.Items {
				if c.Statement.String() == call && c.Status == status {
					return true, err
				}
			}
			return false, err
		})
	})
}
