package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"entente/internal/actor"
	"entente/internal/casefile"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// Investigator is the house's acts about our own cases.
type Investigator interface {
	OpenCase(ctx context.Context, who actor.Actor, heading casefile.Heading) (flow.CaseView, error)
	Cases(ctx context.Context, who actor.Actor, f casefile.Filter) ([]flow.CaseView, error)
	Case(ctx context.Context, who actor.Actor, number string, before int64, limit int) (flow.CaseDetail, error)
	Note(ctx context.Context, who actor.Actor, number, words string) (flow.EntryView, error)
	AddTask(ctx context.Context, who actor.Actor, number, words string, due int64) (flow.EntryView, error)
	FinishTask(ctx context.Context, who actor.Actor, number string, n int64) (flow.EntryView, error)
	Attach(ctx context.Context, who actor.Actor, number, name string) (flow.EntryView, error)
	CloseCase(ctx context.Context, who actor.Actor, number string) (flow.CaseView, error)
	ReopenCase(ctx context.Context, who actor.Actor, number string) (flow.CaseView, error)
	EraseCase(ctx context.Context, who actor.Actor, number string) (casefile.Case, error)
	Tasks(ctx context.Context, who actor.Actor, f casefile.TaskFilter) ([]flow.EntryView, error)
}

// Case is one of our own cases. Nothing of it leaves this node.
type Case struct {
	Number    string    `json:"number"`
	State     string    `json:"state" doc:"open, closed or erased."`
	Title     string    `json:"title" doc:"Empty once it was erased."`
	Reference string    `json:"reference,omitempty" doc:"The number under which it runs elsewhere."`
	Opened    time.Time `json:"opened"`
	Changed   time.Time `json:"changed"`
}

// NewCase is a case to open.
type NewCase struct {
	Title     string `json:"title" doc:"One line."`
	Reference string `json:"reference,omitempty" doc:"The number under which it runs elsewhere."`
}

// CaseWords are the words of a note.
type CaseWords struct {
	Words string `json:"words"`
}

// NewTask is a task to write into a case.
type NewTask struct {
	Words string     `json:"words"`
	Due   *time.Time `json:"due,omitzero" doc:"Absent without a date."`
}

// Attached names what is attached to a case.
type Attached struct {
	Name string `json:"name" doc:"The number of a request, or a statement of any thread by at least 8 digits."`
}

// CaseEntry is one entry of a case.
type CaseEntry struct {
	Case    string                `json:"case"`
	N       int64                 `json:"n"`
	Kind    string                `json:"kind" doc:"note, task or thread."`
	At      time.Time             `json:"at"`
	Who     string                `json:"who"`
	Words   string                `json:"words,omitempty" doc:"Absent for a thread."`
	Due     *time.Time            `json:"due,omitzero"`
	Done    *time.Time            `json:"done,omitzero" doc:"Of a task that was done."`
	DoneBy  string                `json:"done_by,omitempty"`
	Overdue bool                  `json:"overdue"`
	Thread  *statement.Commitment `json:"thread,omitzero" doc:"What was attached, by its first statement."`
}

// CaseThread is a thread that was attached to a case.
type CaseThread struct {
	Thread statement.Commitment `json:"thread"`
	Link   string               `json:"link"`
	Kind   string               `json:"kind,omitempty" doc:"Of its first statement; absent while that is on its way."`
	Number string               `json:"number,omitempty" doc:"Of a request."`
}

// CaseSaid is a statement in a case's timeline.
type CaseSaid struct {
	Statement statement.Commitment `json:"statement"`
	Thread    statement.Commitment `json:"thread"`
	Kind      string               `json:"kind"`
	Ours      bool                 `json:"ours"`
	Files     int                  `json:"files"`
}

// CaseEvent is one line of a case's timeline: an entry or a statement.
type CaseEvent struct {
	At    time.Time  `json:"at" doc:"As its author gave it."`
	Entry *CaseEntry `json:"entry,omitempty"`
	Said  *CaseSaid  `json:"said,omitempty"`
}

// CaseDetail is a case with its threads and its timeline.
type CaseDetail struct {
	Case     Case         `json:"case"`
	Threads  []CaseThread `json:"threads"`
	Timeline []CaseEvent  `json:"timeline" doc:"The latest of it, the oldest first."`
	Older    bool         `json:"older" doc:"Whether there is more before."`
}

type casesIn struct {
	State  string     `query:"state" doc:"Only those in one state: open, closed or erased."`
	Before *time.Time `query:"before" doc:"Only those changed before this instant."`
	Limit  int        `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) cases(ctx context.Context, who actor.Actor, in casesIn) (List[Case], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Case]{}, err
	}
	f := casefile.Filter{State: casefile.State(in.State), Limit: limit}
	if in.Before != nil {
		f.Before = in.Before.UnixMicro()
	}
	views, err := d.house.Cases(ctx, who, f)
	if err != nil {
		return List[Case]{}, err
	}
	out := List[Case]{Items: []Case{}}
	for _, v := range views {
		out.Items = append(out.Items, caseOf(v))
	}
	if n := len(views); n >= limit {
		out.Next = instant(views[n-1].Changed).Format(time.RFC3339Nano)
	}
	return out, nil
}

type openCaseIn struct {
	Body NewCase `body:"json"`
}

func (d *Door) openCase(ctx context.Context, who actor.Actor, in openCaseIn) (Case, error) {
	v, err := d.house.OpenCase(ctx, who, casefile.Heading{Title: in.Body.Title, Reference: in.Body.Reference})
	return caseOf(v), err
}

type caseIn struct {
	Case string `path:"case" doc:"Its number."`
}

type showCaseIn struct {
	Case   string     `path:"case" doc:"Its number."`
	Before *time.Time `query:"before" doc:"Only what was before this instant."`
	Limit  int        `query:"limit" doc:"At most so many lines; 50 without it, 500 at most."`
}

func (d *Door) showCase(ctx context.Context, who actor.Actor, in showCaseIn) (CaseDetail, error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return CaseDetail{}, err
	}
	before := int64(0)
	if in.Before != nil {
		before = in.Before.UnixMicro()
	}
	v, err := d.house.Case(ctx, who, in.Case, before, limit)
	if err != nil {
		return CaseDetail{}, err
	}
	out := CaseDetail{Case: caseOf(v.CaseView), Threads: []CaseThread{}, Timeline: []CaseEvent{}, Older: v.Older}
	for _, t := range v.Threads {
		out.Threads = append(out.Threads, CaseThread{Thread: t.Thread, Link: t.LinkAlias, Kind: t.Kind, Number: t.Number})
	}
	self := d.house.Self().ID
	for _, e := range v.Timeline {
		event := CaseEvent{At: instant(e.At)}
		if e.Entry != nil {
			entry := entryOf(*e.Entry)
			event.Entry = &entry
		} else {
			event.Said = &CaseSaid{Statement: e.Said.Commitment, Thread: e.Said.Thread, Kind: e.Said.Kind, Ours: e.Said.Author == self, Files: e.Files}
		}
		out.Timeline = append(out.Timeline, event)
	}
	return out, nil
}

type noteIn struct {
	Case string    `path:"case" doc:"Its number."`
	Body CaseWords `body:"json"`
}

func (d *Door) note(ctx context.Context, who actor.Actor, in noteIn) (CaseEntry, error) {
	v, err := d.house.Note(ctx, who, in.Case, in.Body.Words)
	return entryOf(v), err
}

type addTaskIn struct {
	Case string  `path:"case" doc:"Its number."`
	Body NewTask `body:"json"`
}

func (d *Door) addTask(ctx context.Context, who actor.Actor, in addTaskIn) (CaseEntry, error) {
	due := int64(0)
	if in.Body.Due != nil {
		due = in.Body.Due.UnixMicro()
		if due <= 0 || due >= statement.MaxInteger {
			return CaseEntry{}, fault.New(fault.Invalid, "due", "Give a date that can be, such as 2031-03-01T12:00:00Z.")
		}
	}
	v, err := d.house.AddTask(ctx, who, in.Case, in.Body.Words, due)
	return entryOf(v), err
}

type finishTaskIn struct {
	Case string `path:"case" doc:"Its number."`
	Task int64  `path:"task" doc:"The number of the entry."`
}

func (d *Door) finishTask(ctx context.Context, who actor.Actor, in finishTaskIn) (CaseEntry, error) {
	v, err := d.house.FinishTask(ctx, who, in.Case, in.Task)
	return entryOf(v), err
}

type attachIn struct {
	Case string   `path:"case" doc:"Its number."`
	Body Attached `body:"json"`
}

func (d *Door) attach(ctx context.Context, who actor.Actor, in attachIn) (CaseEntry, error) {
	v, err := d.house.Attach(ctx, who, in.Case, in.Body.Name)
	return entryOf(v), err
}

func (d *Door) closeCase(ctx context.Context, who actor.Actor, in caseIn) (Case, error) {
	v, err := d.house.CloseCase(ctx, who, in.Case)
	return caseOf(v), err
}

func (d *Door) reopenCase(ctx context.Context, who actor.Actor, in caseIn) (Case, error) {
	v, err := d.house.ReopenCase(ctx, who, in.Case)
	return caseOf(v), err
}

func (d *Door) eraseCase(ctx context.Context, who actor.Actor, in caseIn) (Case, error) {
	c, err := d.house.EraseCase(ctx, who, in.Case)
	return caseOf(flow.CaseView{Case: c}), err
}

type tasksIn struct {
	Until *time.Time `query:"until" doc:"Only those due at or before this instant."`
	After string     `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit int        `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) tasks(ctx context.Context, who actor.Actor, in tasksIn) (List[CaseEntry], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[CaseEntry]{}, err
	}
	f := casefile.TaskFilter{Limit: limit}
	if in.Until != nil {
		f.Until = in.Until.UnixMicro()
	}
	if f.After, err = afterTask(in.After); err != nil {
		return List[CaseEntry]{}, err
	}
	views, err := d.house.Tasks(ctx, who, f)
	if err != nil {
		return List[CaseEntry]{}, err
	}
	out := List[CaseEntry]{Items: []CaseEntry{}}
	for _, v := range views {
		out.Items = append(out.Items, entryOf(v))
	}
	if n := len(views); n >= limit {
		out.Next = fmt.Sprintf("%d.%s.%d", views[n-1].Due, views[n-1].Entry.Case, views[n-1].N)
	}
	return out, nil
}

// afterTask reads the cursor of a page of tasks.
func afterTask(cursor string) (*casefile.Entry, error) {
	if cursor == "" {
		return nil, nil
	}
	e := &casefile.Entry{}
	parts := strings.Split(cursor, ".")
	if len(parts) == 3 {
		var bad [2]error
		e.Due, bad[0] = strconv.ParseInt(parts[0], 10, 64)
		e.N, bad[1] = strconv.ParseInt(parts[2], 10, 64)
		if e.Case.UnmarshalText([]byte(parts[1])) == nil && bad == [2]error{} {
			return e, nil
		}
	}
	return nil, noCursor()
}

func caseOf(v flow.CaseView) Case {
	return Case{Number: v.Number, State: string(v.State), Title: v.Title, Reference: v.Reference, Opened: instant(v.Opened), Changed: instant(v.Changed)}
}

func entryOf(v flow.EntryView) CaseEntry {
	out := CaseEntry{Case: v.Number, N: v.N, Kind: string(v.Kind), At: instant(v.At), Who: v.Who, Words: v.Words, Due: maybe(v.Due), Done: maybe(v.Done),
		DoneBy: v.DoneBy, Overdue: v.Overdue}
	if v.Kind == casefile.Thread {
		out.Thread = &v.Thread
	}
	return out
}
