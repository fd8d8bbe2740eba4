package flow

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/casefile"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/statement"
)

// CaseView is one of our cases, opened.
type CaseView struct {
	casefile.Case
	casefile.Heading
}

// EntryView is one entry of a case, opened.
type EntryView struct {
	casefile.Entry
	Number  string // of the case
	Words   string
	Overdue bool
}

// CaseThread is a thread that was attached to a case.
type CaseThread struct {
	Thread    statement.Commitment
	LinkAlias string
	Kind      string // of its first statement; "" while that is on its way
	Number    string // of a request; "" of anything else
}

// CaseEvent is one line of a case's timeline: an entry of ours, or a statement of an attached thread.
type CaseEvent struct {
	At    int64
	Entry *EntryView
	Said  *exchange.Statement
	Files int // of the statement
}

// CaseDetail is a case with its threads and the latest part of its timeline, the oldest of that first.
type CaseDetail struct {
	CaseView
	Threads  []CaseThread
	Timeline []CaseEvent
	Older    bool // there is more before
}

// caseName is the form of a case's number.
func caseName(name string) string { return strings.ToUpper(strings.TrimSpace(name)) }

// OpenCase opens a case of our own under the next number. It is local: nothing of it leaves.
func (h *House) OpenCase(ctx context.Context, who actor.Actor, heading casefile.Heading) (CaseView, error) {
	var v CaseView
	if err := who.May(actor.KeepCases); err != nil {
		return v, err
	}
	if err := heading.Check(); err != nil {
		return v, err
	}
	plain, err := envelope.Marshal(heading)
	if err != nil {
		return v, err
	}
	id, key := envelope.NewID(), make([]byte, 32)
	rand.Read(key)
	sealed, wrapped, err := h.lock(key, casefile.Place(id, 0), plain)
	if err != nil {
		return v, err
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		now := h.cfg.Now()
		series := fmt.Sprintf("CASE-%d", now.UTC().Year())
		last, err := tx.LastNumber(ctx, series)
		if err != nil {
			return err
		}
		if err := tx.TakeNumber(ctx, series, last+1); err != nil {
			return err
		}
		v = CaseView{casefile.Case{ID: id, Number: assistance.Number(series, last+1), State: casefile.Open, Opened: now.UnixMicro(),
			Changed: now.UnixMicro(), Sealed: sealed}, heading}
		if err := tx.PutCase(ctx, v.Case); err != nil {
			return err
		}
		if err := tx.PutCaseKey(ctx, id, wrapped); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "case open", v.Case.Number)
	})
	return v, err
}

// caseKey is the key under which a case lies.
func (h *House) caseKey(ctx context.Context, tx Tx, c casefile.Case) ([]byte, error) {
	wrapped, err := tx.CaseKey(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	place := casefile.Place(c.ID, 0)
	key, err := h.cfg.Keys.Unwrap(wrapped, place[:])
	if err != nil {
		return nil, fmt.Errorf("unwrapping the key of %s: %w", c.Number, err)
	}
	return key, nil
}

// findCase finds a case by its number.
func findCase(ctx context.Context, tx Tx, number string) (casefile.Case, error) {
	c, err := tx.Case(ctx, caseName(number))
	if notFound(err) {
		return c, fault.New(fault.NotFound, "case", "There is no case of this number here; see \"entente cases list\".")
	}
	return c, err
}

// Note writes a note into a case.
func (h *House) Note(ctx context.Context, who actor.Actor, number, words string) (EntryView, error) {
	return h.write(ctx, who, number, casefile.Entry{Kind: casefile.Note}, words)
}

// AddTask writes a task into a case; due is a time in UTC microseconds, 0 for none.
func (h *House) AddTask(ctx context.Context, who actor.Actor, number, words string, due int64) (EntryView, error) {
	return h.write(ctx, who, number, casefile.Entry{Kind: casefile.Task, Due: due}, words)
}

// write adds an entry with words to a case.
func (h *House) write(ctx context.Context, who actor.Actor, number string, e casefile.Entry, words string) (EntryView, error) {
	var v EntryView
	if err := who.May(actor.KeepCases); err != nil {
		return v, err
	}
	if err := casefile.CheckWords(words); err != nil {
		return v, err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		c, err := findCase(ctx, tx, number)
		if err != nil {
			return err
		}
		entry := e
		entry.At, entry.Who = h.now(), who.Name
		if c, entry, err = c.Add(entry); err != nil {
			return err
		}
		key, err := h.caseKey(ctx, tx, c)
		if err != nil {
			return err
		}
		if entry.Sealed, err = sealRest(key, casefile.Place(c.ID, entry.N), []byte(words)); err != nil {
			return err
		}
		v = EntryView{Entry: entry, Number: c.Number, Words: words}
		return h.putEntry(ctx, tx, who, c, entry)
	})
	return v, err
}

func (h *House) putEntry(ctx context.Context, tx Tx, who actor.Actor, c casefile.Case, e casefile.Entry) error {
	if err := tx.PutCase(ctx, c); err != nil {
		return err
	}
	if err := tx.PutEntry(ctx, e); err != nil {
		return err
	}
	return h.audit(ctx, tx, who.Name, "case "+string(e.Kind), fmt.Sprintf("%s/%d", c.Number, e.N))
}

// FinishTask says that a task was done.
func (h *House) FinishTask(ctx context.Context, who actor.Actor, number string, n int64) (EntryView, error) {
	var v EntryView
	if err := who.May(actor.KeepCases); err != nil {
		return v, err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		c, err := findCase(ctx, tx, number)
		if err != nil {
			return err
		}
		if err := c.Change(); err != nil {
			return err
		}
		e, err := tx.Entry(ctx, c.ID, n)
		if notFound(err) {
			return fault.New(fault.NotFound, "task", "This case has no task of this number; see \"entente cases show\".")
		}
		if err != nil {
			return err
		}
		if e, err = e.Finish(who.Name, h.now()); err != nil {
			return err
		}
		c.Changed = max(c.Changed, e.Done)
		if err := tx.PutCase(ctx, c); err != nil {
			return err
		}
		if err := tx.PutEntry(ctx, e); err != nil {
			return err
		}
		if v, err = h.entryView(ctx, tx, c, e); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "case task done", fmt.Sprintf("%s/%d", c.Number, n))
	})
	return v, err
}

// Attach attaches the thread of a statement to a case: a request by its number, or anything by the number of a statement.
func (h *House) Attach(ctx context.Context, who actor.Actor, number, name string) (EntryView, error) {
	var v EntryView
	if err := who.May(actor.KeepCases); err != nil {
		return v, err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		c, err := findCase(ctx, tx, number)
		if err != nil {
			return err
		}
		e := casefile.Entry{Kind: casefile.Thread, At: h.now(), Who: who.Name}
		if e.Thread, e.Link, err = h.findThread(ctx, tx, name); err != nil {
			return err
		}
		cases, err := tx.CasesOf(ctx, e.Thread)
		if err != nil {
			return err
		}
		if slices.Contains(cases, c.Number) {
			return fault.New(fault.Conflict, "attached", "This is attached to the case already.")
		}
		if c, e, err = c.Add(e); err != nil {
			return err
		}
		v = EntryView{Entry: e, Number: c.Number}
		return h.putEntry(ctx, tx, who, c, e)
	})
	return v, err
}

// findThread finds a thread by the number of a request, or by any statement in it.
func (h *House) findThread(ctx context.Context, tx Tx, name string) (statement.Commitment, statement.LinkID, error) {
	if strings.ContainsRune(name, '-') {
		r, err := h.findRequest(ctx, tx, name)
		return r.Thread, r.Link, err
	}
	said, err := h.find(ctx, tx, name)
	return said.Thread, said.Link, err
}

// CloseCase closes a case, ReopenCase opens it again.
func (h *House) CloseCase(ctx context.Context, who actor.Actor, number string) (CaseView, error) {
	return h.setCase(ctx, who, number, casefile.Open, casefile.Closed, "case close")
}

// ReopenCase opens a closed case again.
func (h *House) ReopenCase(ctx context.Context, who actor.Actor, number string) (CaseView, error) {
	return h.setCase(ctx, who, number, casefile.Closed, casefile.Open, "case reopen")
}

func (h *House) setCase(ctx context.Context, who actor.Actor, number string, from, to casefile.State, act string) (CaseView, error) {
	var v CaseView
	if err := who.May(actor.KeepCases); err != nil {
		return v, err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		c, err := findCase(ctx, tx, number)
		if err != nil {
			return err
		}
		if c.State != from {
			return fault.New(fault.Conflict, "case_state", "This case is "+string(c.State)+" now.")
		}
		c.State, c.Changed = to, max(c.Changed, h.now())
		if err := tx.PutCase(ctx, c); err != nil {
			return err
		}
		if v, err = h.caseView(ctx, tx, c); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, act, c.Number)
	})
	return v, err
}

// EraseCase removes all that was written in a closed case, with its key, for good. Its number stays, and so does what was said in the
// threads that were attached to it.
func (h *House) EraseCase(ctx context.Context, who actor.Actor, number string) (casefile.Case, error) {
	var c casefile.Case
	if err := who.May(actor.Erase); err != nil {
		return c, err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		if c, err = findCase(ctx, tx, number); err != nil || c.State == casefile.Erased {
			return err
		}
		if c.State != casefile.Closed {
			return fault.New(fault.Conflict, "case_open", "This case is open; it has to be closed before it is erased (entente cases close).")
		}
		c.State, c.Changed, c.Sealed = casefile.Erased, max(c.Changed, h.now()), nil
		if err := tx.PutCase(ctx, c); err != nil {
			return err
		}
		if err := tx.EraseCase(ctx, c.ID); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "case erase", c.Number)
	})
	return c, err
}

// Cases lists our cases, changed last first.
func (h *House) Cases(ctx context.Context, who actor.Actor, f casefile.Filter) ([]CaseView, error) {
	if err := who.May(actor.ReadCases); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	var views []CaseView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		rows, err := tx.Cases(ctx, f)
		if err != nil {
			return err
		}
		for _, c := range rows {
			v, err := h.caseView(ctx, tx, c)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

// Tasks lists the open tasks of all cases, the earliest due first.
func (h *House) Tasks(ctx context.Context, who actor.Actor, f casefile.TaskFilter) ([]EntryView, error) {
	if err := who.May(actor.ReadCases); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	var views []EntryView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		rows, err := tx.Tasks(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range rows {
			c, err := tx.CaseByID(ctx, e.Case)
			if err != nil {
				return err
			}
			v, err := h.entryView(ctx, tx, c, e)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

func (h *House) caseView(ctx context.Context, tx Tx, c casefile.Case) (CaseView, error) {
	v := CaseView{Case: c}
	if c.State == casefile.Erased {
		return v, nil
	}
	key, err := h.caseKey(ctx, tx, c)
	if err != nil {
		return v, err
	}
	plain, err := unsealRest(key, casefile.Place(c.ID, 0), c.Sealed)
	if err != nil {
		return v, err
	}
	return v, envelope.Unmarshal(plain, &v.Heading)
}

func (h *House) entryView(ctx context.Context, tx Tx, c casefile.Case, e casefile.Entry) (EntryView, error) {
	v := EntryView{Entry: e, Number: c.Number, Overdue: e.Overdue(h.now())}
	if e.Kind == casefile.Thread {
		return v, nil
	}
	key, err := h.caseKey(ctx, tx, c)
	if err != nil {
		return v, err
	}
	words, err := unsealRest(key, casefile.Place(c.ID, e.N), e.Sealed)
	v.Words = string(words)
	return v, err
}

// Case shows a case with its threads and the latest of its timeline: at most so many lines, all before a time if one is given.
func (h *House) Case(ctx context.Context, who actor.Actor, number string, before int64, limit int) (CaseDetail, error) {
	var d CaseDetail
	if err := who.May(actor.ReadCases); err != nil {
		return d, err
	}
	limit = min(max(limit, 1), maxList)
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		c, err := findCase(ctx, tx, number)
		if err != nil {
			return err
		}
		d = CaseDetail{}
		if d.CaseView, err = h.caseView(ctx, tx, c); err != nil {
			return err
		}
		threads, err := tx.Threads(ctx, c.ID)
		if err != nil {
			return err
		}
		if d.Threads, err = caseThreads(ctx, tx, threads); err != nil {
			return err
		}
		return h.caseTimeline(ctx, tx, &d, threads, before, limit)
	})
	return d, err
}

func caseThreads(ctx context.Context, tx Tx, threads []casefile.Entry) ([]CaseThread, error) {
	names, err := aliases(ctx, tx)
	if err != nil {
		return nil, err
	}
	ids := make([]statement.Commitment, len(threads))
	for i, e := range threads {
		ids[i] = e.Thread
	}
	requests, err := tx.RequestsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]CaseThread, len(threads))
	for i, e := range threads {
		list[i] = CaseThread{Thread: e.Thread, LinkAlias: names[e.Link], Number: requests[e.Thread].Number}
		if list[i].Kind, err = kindThere(ctx, tx, e.Thread); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// caseTimeline joins the latest entries of a case and the latest statements of its threads, each at the time that its author gave it.
func (h *House) caseTimeline(ctx context.Context, tx Tx, d *CaseDetail, threads []casefile.Entry, before int64, limit int) error {
	var events []CaseEvent
	for below := int64(0); ; {
		entries, err := tx.CaseEntries(ctx, d.ID, below, limit+1)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if below = e.N; before == 0 || e.At < before {
				events = append(events, CaseEvent{At: e.At, Entry: &EntryView{Entry: e}})
			}
		}
		if len(entries) <= limit || len(events) > limit {
			break
		}
	}
	for _, e := range threads {
		rows, err := tx.Statements(ctx, exchange.Filter{Link: &e.Link, Thread: &e.Thread, Before: before, Limit: limit + 1})
		if err != nil {
			return err
		}
		for _, s := range rows {
			events = append(events, CaseEvent{At: s.Authored, Said: &s})
		}
	}
	slices.SortStableFunc(events, func(a, b CaseEvent) int { return cmp.Compare(a.At, b.At) })
	if d.Older = len(events) > limit; d.Older {
		events = events[len(events)-limit:]
	}
	for i := range events {
		if err := h.openEvent(ctx, tx, d.Case, &events[i]); err != nil {
			return err
		}
	}
	d.Timeline = events
	return nil
}

// openEvent opens the words of an entry, and counts the files of a statement.
func (h *House) openEvent(ctx context.Context, tx Tx, c casefile.Case, v *CaseEvent) error {
	if v.Said != nil {
		files, err := tx.Files(ctx, v.Said.Commitment)
		v.Files = len(files)
		return err
	}
	opened, err := h.entryView(ctx, tx, c, v.Entry.Entry)
	v.Entry = &opened
	return err
}
