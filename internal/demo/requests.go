package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// requested are the steps of the story in which Arvenia asks for assistance.
func (s *story) requested() []named {
	steps := []named{
		{"Arvenia asks Kestria to preserve data", s.preserve},
		{"Kestria acknowledges and asks; Arvenia answers", s.clarify},
		{"the data are preserved, and then for longer", s.extend},
		{"a request is granted on conditions", s.condition},
		{"a partial answer with a file, released by two people", s.release},
		{"the answer is completed, confirmed and closed", s.finish},
		{"a request is refused on a ground, and contested", s.refuse},
		{"a withdrawal crosses a decision; both stand", s.cross},
		{"both show the same requests and the same clocks", s.clocks},
	}
	for i, step := range steps { // at each common cut on the way, both fold alike
		steps[i].do = func(ctx context.Context) error {
			if err := step.do(ctx); err != nil {
				return err
			}
			return s.fold(ctx)
		}
	}
	return steps
}

// object is a face or a body.
type object map[string]any

// form makes a draft of a face and a body.
func form(kind string, face, body object) (node.Draft, error) {
	k, ok := statement.FormKindOf(statement.KindsEdition, kind)
	if !ok {
		return node.Draft{}, fmt.Errorf("%s has no form", kind)
	}
	d := node.Draft{Lane: k.Lane, Kind: kind, Marking: handling.Marking{TLP: "AMBER"}}
	for _, part := range []struct {
		value object
		into  *jsontext.Value
	}{{face, &d.Face}, {body, &d.Body}} {
		if part.value == nil {
			part.value = object{}
		}
		data, err := envelope.Marshal(part.value)
		if err != nil {
			return d, err
		}
		*part.into = data
	}
	return d, nil
}

// ask sends a request of Arvenia, and waits until Kestria has it.
func (s *story) ask(ctx context.Context, kind string, face, more object) (number string, err error) {
	body := object{
		"language": "en", "requested_authority": "Contact point of Kestria",
		"requesting_authority": object{"organisation": "Contact point of Arvenia", "zone": "Europe/Vienna"},
		"offences":             []object{{"class": "ransomware", "conduct": "The files of a hospital were encrypted.", "provision": "Criminal Code, section 126a"}},
		"facts":                "On 1 March the server below gave the orders.",
		"identifiers":          []object{{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T09:00:00", "to": "2026-03-01T10:00:00", "zone": "UTC"}},
	}
	k, _ := statement.FormKindOf(statement.KindsEdition, kind)
	for name, v := range more {
		body[name] = v
	}
	for name := range body { // of what all have in common, each takes what its form has
		if !slices.ContainsFunc(k.Body(), func(f statement.Field) bool { return f.Name == name }) {
			delete(body, name)
		}
	}
	d, err := form(kind, face, body)
	if err != nil {
		return "", err
	}
	d.Link = s.kestria.alias
	asked, err := s.arvenia.client.Ask(ctx, d, nil, nil)
	if err != nil {
		return "", err
	}
	return asked.Number, s.stands(ctx, asked.Number, "delivered")
}

// data is what a request for data holds beside the rest.
func data(more object) object {
	body := object{"categories": []string{"traffic"}, "data": "Connection logs.", "relation": "They show who gave the orders.", "custodian": "Example Hosting, Kestria"}
	for name, v := range more {
		body[name] = v
	}
	return body
}

// say says a word in a request's thread, and waits until both sides show the status.
func (s *story) say(ctx context.Context, who *side, number, kind string, face, body object, status string, files ...node.Upload) error {
	d, err := form(kind, face, body)
	if err != nil {
		return err
	}
	if _, err := who.client.Reply(ctx, number, d, files, nil); err != nil {
		return fmt.Errorf("saying %s: %w", kind, err)
	}
	return s.stands(ctx, number, status)
}

// stands waits until both sides show a request in a status.
func (s *story) stands(ctx context.Context, number, status string) error {
	return s.either(func(own, _ *side) error {
		return until(ctx, func() (bool, error) {
			r, err := own.client.Request(ctx, number)
			return r.Request.Status == status, err
		})
	})
}

func (s *story) preserve(ctx context.Context) (err error) {
	s.preservation, err = s.ask(ctx, "preservation.request", nil, data(object{"necessity": "Logs are kept for thirty days.", "mla_intended": true}))
	return err
}

func (s *story) clarify(ctx context.Context) error {
	for _, w := range []struct {
		who  *side
		kind string
		body object
		then string
	}{
		{s.kestria, "request.acknowledge", object{"reference": "K-17", "authority": "Contact point of Kestria"}, "acknowledged"},
		{s.kestria, "clarification.ask", object{"questions": "1. Which of the two servers?"}, "clarification"},
		{s.arvenia, "clarification.answer", object{"answers": "1. The one of the address in the request."}, "acknowledged"},
	} {
		if err := s.say(ctx, w.who, s.preservation, w.kind, nil, w.body, w.then); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) extend(ctx context.Context) error {
	until := func(days int) object {
		return object{"until": s.o.Now().Add(time.Duration(days) * 24 * time.Hour).UnixMicro()}
	}
	if err := s.say(ctx, s.kestria, s.preservation, "preservation.preserved", until(61), nil, "preserved"); err != nil {
		return err
	}
	if err := s.say(ctx, s.arvenia, s.preservation, "preservation.extend", until(120), object{"necessity": "The court needs longer."}, "preserved"); err != nil {
		return err
	}
	return s.say(ctx, s.kestria, s.preservation, "preservation.preserved", until(121), nil, "preserved")
}

func (s *story) condition(ctx context.Context) error {
	n, err := s.ask(ctx, "mla.traffic", object{"copy": "formal"}, data(object{"legal_basis": "Code of Criminal Procedure, section 134", "purpose": "The investigation named above."}))
	if err != nil {
		return err
	}
	s.granted = n
	if err := s.say(ctx, s.kestria, n, "decision.condition", object{"conditions": []string{"stated_use_only", "report_use"}}, nil, "conditions"); err != nil {
		return err
	}
	return s.say(ctx, s.arvenia, n, "conditions.agree", nil, nil, "accepted")
}

// release lets one officer of Kestria write the answer and another release it: the agreement asks for two.
func (s *story) release(ctx context.Context) error {
	writer, _, err := s.kestria.enrol(ctx, "lan", "drafter")
	if err != nil {
		return err
	}
	officer, passphrase, err := s.kestria.enrol(ctx, "mei", "releasing_officer")
	if err != nil {
		return err
	}
	d, err := form("answer.partial", nil, object{"words": "The first day."})
	if err != nil {
		return err
	}
	const log = "2026-03-01T09:12:44Z 192.0.2.7:443\n"
	file := node.Upload{Name: "logs.txt", Media: "text/plain", Size: int64(len(log)), Content: strings.NewReader(log)}
	if _, err := writer.Reply(ctx, s.granted, d, []node.Upload{file}, nil); fault.CodeOf(err) != "held" {
		return fmt.Errorf("one person's word was not kept as a draft: %v", err)
	}
	drafts, err := officer.Drafts(ctx, "waiting", "", 1)
	if err != nil {
		return err
	}
	if len(drafts.Items) != 1 {
		return fmt.Errorf("%d drafts wait, not one", len(drafts.Items))
	}
	seen, err := officer.Draft(ctx, drafts.Items[0].ID.String())
	if err != nil {
		return err
	}
	if len(seen.Content.Files) != 1 || seen.Content.Files[0].SHA256 != envelope.Sum([]byte(log)) {
		return fmt.Errorf("the officer is shown other files than were given: %+v", seen.Content.Files)
	}
	if _, err := officer.ReleaseDraft(ctx, seen.Draft.ID.String(), seen.Draft.Digest, node.Confirmed{Passphrase: passphrase}, nil); err != nil {
		return err
	}
	return s.stands(ctx, s.granted, "partial")
}

func (s *story) finish(ctx context.Context) error {
	n := s.granted
	for _, step := range []func() error{
		func() error {
			return s.say(ctx, s.kestria, n, "answer.complete", nil, object{"words": "There were no others."}, "answered")
		},
		func() error { return s.say(ctx, s.arvenia, n, "answer.confirm", nil, nil, "confirmed") },
		func() error {
			return s.say(ctx, s.arvenia, n, "answer.feedback", object{"timeliness": "in_time", "quality": "complete", "use": []string{"lead"}}, nil, "confirmed")
		},
		func() error {
			return s.say(ctx, s.arvenia, n, "request.close", object{"outcome": "served"}, nil, "closed")
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) refuse(ctx context.Context) error {
	n, err := s.ask(ctx, "information.request", nil, object{"questions": "Who rents the server?", "grounds": "Its provider is in Kestria."})
	if err != nil {
		return err
	}
	if err := s.say(ctx, s.kestria, n, "decision.refuse", object{"ground": "ongoing_investigation", "reasons": "withheld"}, nil, "refused"); err != nil {
		return err
	}
	return s.say(ctx, s.arvenia, n, "request.contest", nil, object{"reasons": "A part could be given."}, "contested")
}

// cross lets both sides speak at once, until they do: a decision that had seen the withdrawal would have been refused.
func (s *story) cross(ctx context.Context) error {
	for {
		n, err := s.ask(ctx, "advice.request", nil, object{"questions": "1. How is the sample packed?"})
		if err != nil {
			return err
		}
		withdrawal, err := form("request.withdraw", object{"reason": "obtained_elsewhere"}, nil)
		if err != nil {
			return err
		}
		decision, err := form("decision.accept", nil, nil)
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		var withdrawn, decided error
		wg.Go(func() { _, withdrawn = s.arvenia.client.Reply(ctx, n, withdrawal, nil, nil) })
		wg.Go(func() { _, decided = s.kestria.client.Reply(ctx, n, decision, nil, nil) })
		wg.Wait()
		switch {
		case withdrawn != nil:
			return withdrawn
		case fault.KindOf(decided) == fault.Conflict:
			continue // the withdrawal was there first
		case decided != nil:
			return decided
		}
		return s.stands(ctx, n, "withdrawn")
	}
}

// clocks compares what both sides list.
func (s *story) clocks(ctx context.Context) error {
	var lists []string
	err := s.either(func(own, _ *side) error {
		requests, err := own.client.Requests(ctx, node.ThreadFilter{})
		if err != nil {
			return err
		}
		due, err := own.client.Due(ctx, "", "", 0)
		var b strings.Builder
		for _, r := range requests.Items {
			fmt.Fprintln(&b, r.Number, r.Kind, r.Status, r.Received, r.Changed)
		}
		for _, d := range due {
			fmt.Fprintln(&b, d.Number, d.Step, d.Since, d.At, d.Escalate)
		}
		lists = append(lists, b.String())
		return err
	})
	if err == nil && (lists[0] != lists[1] || lists[0] == "") {
		err = fmt.Errorf("the lists differ:\n%s\n%s", lists[0], lists[1])
	}
	return err
}
