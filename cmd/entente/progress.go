package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"entente/internal/node"
)

const (
	barCells = 30
	logEvery = 5 * time.Second
)

// progress shows how far long work has come: a bar on a terminal, a line every few seconds elsewhere, so nothing for
// work that is done sooner, and nothing with --json. end is called when the work is over, however it ended.
func (a *app) progress(what string) (show node.Progress, end func()) {
	if a.json {
		return nil, func() {}
	}
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		shown := false
		return func(done, total int64) {
				shown = true
				fmt.Fprintf(a.stderr, "\r%s %s", what, bar(done, total))
			}, func() {
				if shown {
					fmt.Fprintln(a.stderr)
				}
			}
	}
	last := a.now()
	return func(done, total int64) {
		if now := a.now(); now.Sub(last) >= logEvery {
			last = now
			fmt.Fprintf(a.stderr, "%s: %s\n", what, share(done, total))
		}
	}, func() {}
}

// share says in words how much is done; a total of 0 is not known.
func share(done, total int64) string {
	if total == 0 {
		return fmt.Sprint(done)
	}
	return fmt.Sprintf("%d of %d", done, total)
}

// bar draws how much of a total is done.
func bar(done, total int64) string {
	if total == 0 {
		return share(done, total)
	}
	part := min(max(float64(done)/float64(total), 0), 1)
	full := int(part * barCells)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", barCells-full), part*100)
}
