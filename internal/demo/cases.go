package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entente/internal/node"
)

// keepCase is the step in which Arvenia keeps a case with its request, a task and a note; Kestria has none.
func (s *story) keepCase(ctx context.Context) error {
	c := s.arvenia.client
	opened, err := c.OpenCase(ctx, node.NewCase{Title: "Ransomware in a hospital", Reference: "B 17/26"})
	if err != nil {
		return err
	}
	if _, err := c.Note(ctx, opened.Number, "The orders came from a server in Kestria."); err != nil {
		return err
	}
	due := s.o.Now().Add(24 * time.Hour)
	task, err := c.AddTask(ctx, opened.Number, node.NewTask{Words: "Ask the court for longer.", Due: &due})
	if err != nil {
		return err
	}
	if _, err := c.Attach(ctx, opened.Number, s.preservation); err != nil {
		return err
	}
	if _, err := c.FinishTask(ctx, opened.Number, task.N); err != nil {
		return err
	}
	d, err := c.Case(ctx, opened.Number, "", 100)
	if err != nil {
		return err
	}
	said := slices.ContainsFunc(d.Timeline, func(e node.CaseEvent) bool {
		return e.Said != nil && e.Said.Kind == "preservation.preserved" && !e.Said.Ours
	})
	if len(d.Threads) != 1 || d.Threads[0].Number != s.preservation || !said {
		return fmt.Errorf("the case lacks what was said in its request: %+v", d)
	}
	theirs, err := s.kestria.client.Cases(ctx, "", "", 10)
	if err == nil && len(theirs.Items) > 0 {
		err = fmt.Errorf("a case of Arvenia is shown at Kestria: %+v", theirs.Items)
	}
	return err
}
