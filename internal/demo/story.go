package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/node"
	"entente/proof"
	"entente/statement"
)

// story is what is remembered from one step to the next.
type story struct {
	o                Options
	dir              string
	arvenia, kestria *side
	result           *Result

	invitation []byte
	desk       map[*side]envelope.Hash
	message    envelope.Hash
	answer     envelope.Hash

	preservation string // the number of the request
	granted      string // that of the one that is granted on conditions
}

// steps are the story, in order. running is the life of the nodes' processes.
func (s *story) steps(running context.Context) []named {
	told := []named{
		{"create the nodes of Arvenia and Kestria", s.found},
		{"start both nodes", func(ctx context.Context) error { return s.start(ctx, running) }},
		{"Arvenia invites Kestria", s.invite},
		{"Kestria accepts", s.accept},
		{"both read the same short code", s.compare},
		{"both confirm; the link is active", s.confirm},
		{"both propose a desk", s.propose},
		{"both countersign the other's desk", s.countersign},
		{"Arvenia sends a message with a file", s.send},
		{"Arvenia replaces its keys, while that is on its way", s.rotate},
		{"Kestria's node opens it; the file is the same", s.arrive},
		{"Kestria answers in the thread", s.reply},
	}
	return append(append(told, s.requested()...),
		named{"both list what is owed, and until when; a legal hold keeps data, and an erasure is told", s.owed},
		named{"Arvenia keeps a case of its own, of which Kestria sees nothing", s.keepCase},
		named{"a request is escalated to the hotline; a person answers, and both stand down", s.hotline},
		named{"both ledgers are cosigned to the end", s.cosigned},
		named{"both nodes fold the record to the same hash", s.fold},
		named{"both nodes compute the same status report", s.report},
		named{"both nodes verify both ledgers", s.verify},
		named{"a proof of the message is verified offline", s.prove},
	)
}

// rotate changes a party's keys in the middle of the story; all that follows holds as if it had not.
func (s *story) rotate(ctx context.Context) error {
	k, err := s.arvenia.client.Rotate(ctx, node.Renewal{})
	if err == nil && len(k.Versions) != 2 {
		err = fmt.Errorf("the identity has %d versions", len(k.Versions))
	}
	return err
}

func (s *story) logs() string { return s.arvenia.tail() + s.kestria.tail() }

func (s *story) found(ctx context.Context) error {
	a, err := s.arvenia.found(ctx, s.o.Now())
	if err != nil {
		return err
	}
	k, err := s.kestria.found(ctx, s.o.Now())
	s.result.Figures.Arvenia, s.result.Figures.Kestria = a.Party, k.Party
	return err
}

func (s *story) start(ctx, running context.Context) error {
	return s.either(func(own, _ *side) error {
		if err := own.start(running, s.o.Program); err != nil {
			return err
		}
		return until(ctx, func() (bool, error) { return own.ready(ctx) })
	})
}

func (s *story) invite(ctx context.Context) error {
	inv, err := s.arvenia.client.Invite(ctx, s.kestria.alias, int64(time.Hour/time.Second), twoPersons())
	if err != nil {
		return err
	}
	s.invitation, err = inv.Encode()
	return err
}

// twoPersons is the default agreement, but that a partial answer leaves on a releasing officer's word only.
func twoPersons() statement.Agreement {
	a := statement.DefaultAgreement()
	a.Rules.Policy.Release = append([]handling.ReleaseRule{{Kinds: []string{"answer.partial"}, Need: handling.ReleaseReleasingOfficer}}, a.Rules.Policy.Release...)
	return a
}

func (s *story) accept(ctx context.Context) error {
	l, err := s.kestria.client.Accept(ctx, s.arvenia.alias, s.invitation)
	s.result.Figures.Link = l.ID
	return err
}

func (s *story) compare(ctx context.Context) error {
	var codes []string
	err := s.either(func(own, peer *side) error {
		l, err := own.client.Link(ctx, peer.alias)
		codes = append(codes, fmt.Sprint(l.Code.Digits, l.Code.Words))
		s.result.Figures.Code = l.Code.Digits
		return err
	})
	if err == nil && codes[0] != codes[1] {
		err = fmt.Errorf("the codes differ: %s and %s", codes[0], codes[1])
	}
	return err
}

func (s *story) confirm(ctx context.Context) error {
	err := s.either(func(own, peer *side) error {
		_, err := own.client.Confirm(ctx, peer.alias, node.Confirmation{
			Method: "telephone", Person: "Duty officer of " + own.names["en"], Function: "contact point",
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.either(func(own, peer *side) error {
		return until(ctx, func() (bool, error) {
			l, err := own.client.Link(ctx, peer.alias)
			return l.State == "active", err
		})
	})
}

func (s *story) propose(ctx context.Context) error {
	s.desk = map[*side]envelope.Hash{}
	return s.either(func(own, peer *side) error {
		id, err := own.client.ProposeDesk(ctx, node.NewDesk{Link: peer.alias, Proposal: node.DeskProposal{
			Role: "hotline", Standing: "permanent",
			Body: statement.DeskBody{
				Names: map[string]string{"en": "Hotline of " + own.names["en"], "zh": own.names["zh"] + "热线"},
				Hours: []statement.Hours{}, Always: true, Zone: "UTC", Languages: []string{"en", "zh"}, Substitutes: []string{},
			},
		}})
		s.desk[own] = id
		return err
	})
}

func (s *story) countersign(ctx context.Context) error {
	err := s.either(func(own, peer *side) error {
		return until(ctx, func() (bool, error) {
			_, err := own.client.CountersignDesk(ctx, s.desk[peer].String())
			return err == nil, err
		})
	})
	if err != nil {
		return err
	}
	return s.either(func(own, _ *side) error {
		return until(ctx, func() (bool, error) {
			desks, err := own.client.Desks(ctx, "")
			active := 0
			for _, d := range desks {
				if d.State == "active" {
					active++
				}
			}
			return active == len(s.desk), err
		})
	})
}

func (s *story) send(ctx context.Context) error {
	path, err := s.input()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	start := s.o.Now()
	files := []node.Upload{{Name: filepath.Base(path), Media: "application/octet-stream", Size: info.Size(), Content: f}}
	s.message, err = s.arvenia.client.Send(ctx, s.draft(s.kestria, s.arvenia, "Indicators from the demonstration", "As agreed at our last meeting.", nil), files, nil)
	if err != nil {
		return err
	}
	err = s.opened(ctx, s.arvenia, s.kestria, s.message)
	s.result.Figures.OpenedMS = s.o.Now().Sub(start).Milliseconds()
	return err
}

func (s *story) draft(to, from *side, subject, text string, thread *envelope.Hash) node.Draft {
	face, _ := envelope.Marshal(statement.MessageFace{FromDesk: s.desk[from].String(), ToDesk: s.desk[to].String()})
	body, _ := envelope.Marshal(statement.MessageBody{Subject: subject, Language: "en", Text: text})
	return node.Draft{
		Link: to.alias, Lane: statement.Network, Kind: "message", Thread: thread,
		Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: body,
	}
}

// opened waits until the addressee opened a statement and stored its files, and its author knows that it was opened.
func (s *story) opened(ctx context.Context, author, addressee *side, c envelope.Hash) error {
	err := until(ctx, func() (bool, error) {
		v, err := addressee.client.Statement(ctx, c.String())
		stored := !slices.ContainsFunc(v.Files, func(f node.File) bool { return f.State != "stored" })
		return v.State == "opened" && stored, err
	})
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		v, err := author.client.Statement(ctx, c.String())
		return v.State == "opened", err
	})
}

func (s *story) arrive(ctx context.Context) error {
	path, err := s.input()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sent, got := sha256.New(), sha256.New()
	if s.result.Figures.FileBytes, err = io.Copy(sent, f); err != nil {
		return err
	}
	if err := s.kestria.client.File(ctx, s.message.String(), 0, got); err != nil {
		return err
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		return errors.New("the file came out otherwise than it went in")
	}
	return nil
}

func (s *story) reply(ctx context.Context) error {
	var err error
	s.answer, err = s.kestria.client.Send(ctx, s.draft(s.arvenia, s.kestria, "Re: Indicators from the demonstration", "Received with thanks.", &s.message), nil, nil)
	if err != nil {
		return err
	}
	return s.opened(ctx, s.kestria, s.arvenia, s.answer)
}

func (s *story) cosigned(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		done := true
		err := s.either(func(own, peer *side) error {
			l, err := own.client.Link(ctx, peer.alias)
			f := l.Figures
			done = done && f.UncosignedOwn == 0 && f.UncosignedPeer == 0 && f.Sending == 0 && f.Unsettled == 0
			return err
		})
		return done, err
	})
}

func (s *story) fold(ctx context.Context) error {
	cut, err := s.arvenia.client.Cut(ctx, s.kestria.alias)
	if err != nil {
		return err
	}
	s.result.Figures.Leaves = 0
	for _, size := range cut.Sizes {
		s.result.Figures.Leaves += size
	}
	var folds []node.Fold
	err = s.either(func(own, peer *side) error {
		f, err := own.client.Fold(ctx, peer.alias, cut)
		folds = append(folds, f)
		return err
	})
	if err != nil {
		return err
	}
	if folds[0].Hash != folds[1].Hash || folds[0].Columns != folds[1].Columns {
		return fmt.Errorf("at the same cut, Arvenia folds to %s and Kestria to %s", folds[0].Hash, folds[1].Hash)
	}
	s.result.Figures.Fold, s.result.Figures.Columns = folds[0].Hash, folds[0].Columns
	list, err := s.arvenia.client.Statements(ctx, node.Filter{})
	s.result.Figures.Statements = len(list.Items)
	return err
}

// report compares what both nodes count of all requests of the story, byte by byte.
func (s *story) report(ctx context.Context) error {
	cut, err := s.arvenia.client.Cut(ctx, s.kestria.alias)
	if err != nil {
		return err
	}
	var reports [][]byte
	now := s.o.Now()
	err = s.either(func(own, peer *side) error {
		r, err := own.client.Report(ctx, peer.alias, now.Add(-24*time.Hour), now.Add(24*time.Hour), &cut)
		if err != nil {
			return err
		}
		data, err := r.Encode()
		reports = append(reports, data)
		for _, f := range r.Figures {
			s.result.Figures.Requests += f.Received
		}
		return err
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(reports[0], reports[1]) || s.result.Figures.Requests == 0 {
		return fmt.Errorf("at the same cut, Arvenia reports\n%s\nand Kestria\n%s", reports[0], reports[1])
	}
	s.result.Figures.Requests /= 2 // each was counted by both
	s.result.Figures.Report = envelope.Sum(reports[0])
	return nil
}

func (s *story) verify(ctx context.Context) error {
	return s.either(func(own, peer *side) error {
		v, err := own.client.Verify(ctx, peer.alias, nil)
		if err == nil && (!v.OK || len(v.Differences) > 0) {
			err = fmt.Errorf("not all holds: %+v", v)
		}
		return err
	})
}

func (s *story) prove(ctx context.Context) error {
	var file bytes.Buffer
	if err := s.arvenia.client.Proof(ctx, s.message.String(), true, &file); err != nil {
		return err
	}
	s.result.Figures.ProofBytes = file.Len()
	f, err := proof.Decode(file.Bytes())
	if err != nil {
		return err
	}
	report, err := proof.Verify(envelope.Default(), f, s.result.Figures.Arvenia, s.result.Figures.Kestria)
	if err != nil {
		return err
	}
	s.result.Figures.Facts = len(report.Facts)
	for _, want := range []proof.Code{proof.Sent, proof.BodyShown, proof.Received, proof.Opened} {
		if !report.Has(want) {
			return fmt.Errorf("the proof does not show %q", want)
		}
	}
	return nil
}
