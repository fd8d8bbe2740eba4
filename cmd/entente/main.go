// Command entente runs the node of one party and speaks to it: everything that an operator or an officer does
// from a terminal, and the checks that need no node.
//
// It promises documented exit statuses, the same facts as JSON with --json, and that nothing that a peer wrote can
// move the cursor or hide in a line. It refuses to touch the data of a running node except through its socket.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, now: time.Now}
	status := a.main(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
