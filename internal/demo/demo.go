// Package demo plays a whole exchange between two parties on one machine: it starts two real nodes, Arvenia's and
// Kestria's, in processes of their own, and drives them through their sockets as a person would with the commands.
//
// It promises that every step is checked at both nodes before the next begins, and that what it made is removed when
// it ends. It refuses to be more than a demonstration: its keys lie unprotected in a temporary directory.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"entente/envelope"
	"entente/internal/fault"
)

//go:embed sample.json
var sample []byte

// Options say how the demonstration is played.
type Options struct {
	Program  string           // the entente binary that the nodes run
	Input    string           // a file to send instead of the sample
	Database string           // the URL of a PostgreSQL server whose user may create databases; empty: SQLite
	Stay     bool             // keep the nodes running after the last step, until the context ends
	Show     func(Step)       // called after each step; may be nil
	Tell     io.Writer        // where to write how the nodes are reached; used with Stay
	Now      func() time.Time // required
}

// Step is one step that was played.
type Step struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	MS    int64  `json:"ms"`
	Error string `json:"error,omitempty"`
}

// Figures are what the demonstration counted.
type Figures struct {
	Arvenia    envelope.Hash `json:"arvenia"` // party ids
	Kestria    envelope.Hash `json:"kestria"`
	Link       envelope.Hash `json:"link"`
	Code       string        `json:"code"`
	FileBytes  int64         `json:"file_bytes"`
	OpenedMS   int64         `json:"opened_ms"` // from sending the message until its file is stored at the addressee
	Statements int           `json:"statements"`
	Leaves     int64         `json:"leaves"` // of both ledgers
	Fold       envelope.Hash `json:"fold"`   // the same at both nodes
	Columns    int           `json:"columns"`
	Requests   int           `json:"requests"` // in the status report
	Report     envelope.Hash `json:"report"`   // of its bytes, the same at both nodes
	ProofBytes int           `json:"proof_bytes"`
	Facts      int           `json:"facts"` // that the proof shows
}

// Result is the whole demonstration.
type Result struct {
	OK      bool    `json:"ok"`
	Steps   []Step  `json:"steps"`
	Figures Figures `json:"figures"`
}

// patience bounds one step.
const patience = 2 * time.Minute

// Play plays the demonstration. It returns what was played with an error too.
func Play(ctx context.Context, o Options) (result Result, err error) {
	dir, err := os.MkdirTemp("", "entente-demo-")
	if err != nil {
		return result, fault.Wrap(fault.Unavailable, "demo", "No temporary directory can be made.", err)
	}
	running, stop := context.WithCancel(ctx)
	s := &story{
		o: o, dir: dir, result: &result,
		arvenia: newSide("arvenia", map[string]string{"en": "Arvenia", "zh": "阿文尼亚"}, dir, o.Database),
		kestria: newSide("kestria", map[string]string{"en": "Kestria", "zh": "凯斯特里亚"}, dir, o.Database),
	}
	defer func() {
		stop()
		err = errors.Join(err, s.arvenia.wait(), s.kestria.wait(), s.arvenia.forget(), s.kestria.forget(), os.RemoveAll(dir))
		result.OK = err == nil
	}()
	for _, step := range s.steps(running) {
		if err := s.play(ctx, step); err != nil {
			return result, err
		}
	}
	if o.Stay {
		s.tell(o.Tell)
		<-ctx.Done()
	}
	return result, nil
}

// named is a step to be played.
type named struct {
	name string
	do   func(context.Context) error
}

// play plays one step and records how it went, unless it was interrupted.
func (s *story) play(ctx context.Context, n named) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := s.o.Now()
	err := n.do(limited)
	if err != nil && ctx.Err() != nil {
		return fault.New(fault.Internal, "interrupted", "The demonstration was interrupted; everything that it made is removed.")
	}
	step := Step{Name: n.name, OK: err == nil, MS: s.o.Now().Sub(start).Milliseconds()}
	if err != nil {
		step.Error = err.Error()
		err = fmt.Errorf("%s: %w%s", n.name, err, s.logs())
	}
	s.result.Steps = append(s.result.Steps, step)
	if s.o.Show != nil {
		s.o.Show(step)
	}
	return err
}

// tell says how the nodes are reached.
func (s *story) tell(w io.Writer) {
	fmt.Fprintf(w, "\nBoth nodes run until you interrupt this (Ctrl-C). Drive them from another terminal:\n\n")
	for _, x := range []*side{s.arvenia, s.kestria} {
		fmt.Fprintf(w, "  %s at %s\n    %s --data %s inbox\n", x.names["en"], x.endpoint, s.o.Program, x.data)
	}
	fmt.Fprintf(w, "\n  %s --data %s send kestria --subject \"Hello\" --text \"How are you?\"\n", s.o.Program, s.arvenia.data)
	fmt.Fprintf(w, "  %s --data %s ledger verify arvenia\n\n", s.o.Program, s.kestria.data)
}

// input is the file to send: its name, its size and how to open it.
func (s *story) input() (string, error) {
	if s.o.Input != "" {
		return s.o.Input, nil
	}
	path := filepath.Join(s.dir, "indicators.json")
	if err := os.WriteFile(path, sample, 0o600); err != nil {
		return "", fault.Wrap(fault.Unavailable, "demo", "The sample cannot be written.", err)
	}
	return path, nil
}

// either is both sides in turn.
func (s *story) either(f func(own, peer *side) error) error {
	if err := f(s.arvenia, s.kestria); err != nil {
		return fmt.Errorf("at Arvenia: %w", err)
	}
	if err := f(s.kestria, s.arvenia); err != nil {
		return fmt.Errorf("at Kestria: %w", err)
	}
	return nil
}
