package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/node"
)

// Exit statuses.
const (
	statusOK      = 0
	statusFailed  = 1
	statusUsage   = 2
	statusMissing = 3
	statusRefused = 4
	statusAway    = 5
)

// statuses documents them, in the program's help and its manual page.
const statuses = `Exit status:
  0  done
  1  failed, or what was checked does not hold
  2  used wrongly: an unknown command or flag, or a missing argument
  3  the thing that was named does not exist
  4  refused: the input is wrong, the state does not allow it, or you may not
  5  no node runs here, or it cannot do this at the moment`

// app is one run of the command.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    func(string) (string, bool)
	now    func() time.Time

	data  string // --data
	json  bool   // --json
	began bool   // the arguments were in order, and the command's own work began
}

// main runs one command and returns its exit status.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	called, err := root.ExecuteContextC(ctx)
	status := a.status(err)
	if err != nil {
		a.report(called, err, status)
	}
	return status
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "entente",
		Short: "The permanent channel between parties that do not trust each other",
		Long: `Entente is one party's node of a permanent channel between parties that do not trust each other. Two nodes
exchange sealed, signed statements; each gets a signed receipt and a place in a ledger that the other side cosigns.

Create a node with "entente init" and start it with "entente serve". The other commands speak to the running node
through its socket, but for init, restore, rebuild, verify and demo, which need none.

` + statuses,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.data, "data", "", "data directory (default $ENTENTE_DATA, or ~/.local/share/entente)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "write JSON instead of text")
	group(root, "start", "Start here:", a.demoCommand(), a.initCommand(), a.serveCommand())
	group(root, "link", "Link with another party:", a.inviteCommand(), a.acceptCommand(), a.pairCommand(), a.confirmCommand(), a.linksCommand(), a.desksCommand(),
		a.suspendCommand(), a.resumeCommand(), a.withdrawLinkCommand())
	group(root, "say", "Say and read:", a.sendCommand(), a.inboxCommand(), a.showCommand(), a.receiptsCommand(), a.courierCommand(), a.eraseCommand(), a.holdCommand())
	group(root, "assist", "Ask for assistance and answer:", a.requestCommand(), a.answerCommand(), a.decideCommand(), a.releaseCommand(), a.dueCommand(), a.obligationsCommand(), a.casesCommand(), a.hotlineCommand(), a.reportCommand())
	group(root, "prove", "Check and prove:", a.ledgerCommand(), a.verifyCommand(), a.evidenceCommand(), a.auditCommand())
	group(root, "operate", "Look after the node:", a.doctorCommand(), a.membersCommand(), a.webhooksCommand(), a.keysCommand(), a.backupCommand(), a.restoreCommand(), a.rebuildCommand(), a.benchCommand())
	root.AddCommand(a.docsCommand(), a.versionCommand())
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	root.SetFlagErrorFunc(flagError)
	ownWords(root)
	helpOf(root)
	return root
}

// group adds commands under a heading of the help.
func group(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
	}
	root.AddCommand(commands...)
}

// run is the work of a command whose arguments were in order.
func (a *app) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		if err := a.findData(); err != nil {
			return err
		}
		return f(cmd.Context(), args)
	}
}

// ask is the work of a command that speaks to the running node.
func (a *app) ask(f func(ctx context.Context, c *node.Client, args []string) error) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, args []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		return f(ctx, c, args)
	})
}

// findData settles which data directory is meant, as an absolute path.
func (a *app) findData() error {
	if a.data == "" {
		a.data, _ = a.env("ENTENTE_DATA")
	}
	if a.data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return usage("Say with --data where the node's data lies.")
		}
		a.data = filepath.Join(home, ".local", "share", "entente")
	}
	path, err := filepath.Abs(a.data)
	if err != nil {
		return fault.Wrap(fault.Invalid, "data", "The data directory cannot be found.", err)
	}
	a.data = path
	return nil
}

// dial makes a client for the node that is meant: that of $ENTENTE_NODE over HTTPS, or that of the data directory.
func (a *app) dial() (*node.Client, error) {
	token, err := a.findToken()
	if err != nil {
		return nil, err
	}
	address, _ := a.env("ENTENTE_NODE")
	if address == "" {
		return node.Dial(a.data).As(token), nil
	}
	fingerprint, _ := a.env("ENTENTE_NODE_FINGERPRINT")
	c, err := node.DialRemote(address, fingerprint)
	if err != nil {
		return nil, err
	}
	return c.As(token), nil
}

// findToken is the token to act with: $ENTENTE_TOKEN, or what the file $ENTENTE_TOKEN_FILE holds; empty for whoever owns the node.
func (a *app) findToken() (string, error) {
	token, _ := a.env("ENTENTE_TOKEN")
	if file, ok := a.env("ENTENTE_TOKEN_FILE"); ok && token == "" && file != "" {
		data, err := a.read(file, 1<<10)
		return strings.TrimSpace(string(data)), err
	}
	return strings.TrimSpace(token), nil
}

// errNotHeld ends a command that did its work and found that what it checked does not hold: it has said so already.
var errNotHeld = errors.New("what was checked does not hold")

// status is the exit status for an error.
func (a *app) status(err error) int {
	if err == nil || fault.CodeOf(err) == heldCode {
		return statusOK
	}
	if _, ok := errors.AsType[usageError](err); ok || !a.began {
		return statusUsage
	}
	if _, ok := errors.AsType[*envelope.FormatError](err); ok {
		return statusRefused
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		return statusMissing
	case fault.Invalid, fault.Conflict, fault.Forbidden, fault.TooLarge:
		return statusRefused
	case fault.Unavailable, fault.Exhausted:
		return statusAway
	}
	return statusFailed
}

// heldCode is the code of what was kept as a draft until a second person releases it.
const heldCode = "held"

// failure is an error as --json shows it.
type failure struct {
	Error  string `json:"error"`
	Code   string `json:"code"`
	Status int    `json:"status"`
}

// report tells of an error, on standard error. The operator sees the cause too: it is his node.
func (a *app) report(called *cobra.Command, err error, status int) {
	if errors.Is(err, errNotHeld) {
		return
	}
	if fault.CodeOf(err) == heldCode { // done as the rules ask: it waits for a second person
		a.print(map[string]string{"held": fault.Public(err)}, func(w io.Writer) { fmt.Fprintln(w, text(fault.Public(err))) })
		return
	}
	sentence, code := text(err.Error()), fault.CodeOf(err)
	if status == statusUsage {
		code = "usage"
		sentence += "\nTry: " + called.CommandPath() + " --help"
	}
	if a.json {
		if data, err := envelope.Marshal(failure{Error: err.Error(), Code: code, Status: status}); err == nil {
			fmt.Fprintf(a.stderr, "%s\n", data)
			return
		}
	}
	fmt.Fprintf(a.stderr, "entente: %s\n", sentence)
}

// print writes a result: as JSON, or by human.
func (a *app) print(v any, human func(w io.Writer)) error {
	if !a.json {
		human(a.stdout)
		return nil
	}
	data, err := envelope.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", data)
	return err
}
