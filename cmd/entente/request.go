package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

func (a *app) requestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Ask for assistance, and follow what becomes of it",
		Long: `Ask another party for assistance with a complete form, and follow what becomes of it. A request is named by its number, such as
KES-PR-2026-0143, or by its first statement. What would bounce is not sent: every fault is listed with what to write, and the draft
stays as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.newRequestCommand(), a.formCommand(), a.listRequestsCommand(), a.showRequestCommand())
	cmd.AddCommand(a.sayCommands(inRequest(), []saying{
		{"clarify", "clarification.answer"}, {"agree", "conditions.agree"}, {"decline", "conditions.decline"}, {"proceed", "preservation.proceed"},
		{"extend", "preservation.extend"}, {"link", "preservation.link"}, {"release", "preservation.release"}, {"query", "status.query"},
		{"correct", "request.correct"}, {"withdraw", "request.withdraw"}, {"contest", "request.contest"}, {"confirm", "answer.confirm"},
		{"feedback", "answer.feedback"}, {"close", "request.close"},
	})...)
	return cmd
}

func (a *app) answerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "answer",
		Short: "Answer a request for assistance",
		Long:  "Answer a request for assistance that another party made, in part or in full, with files.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.sayCommands(inRequest(), []saying{
		{"complete", "answer.complete"}, {"partial", "answer.partial"}, {"preserved", "preservation.preserved"}, {"path", "preservation.path"},
		{"status", "status.update"},
	})...)
	return cmd
}

func (a *app) decideCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decide",
		Short: "Acknowledge a request for assistance, and decide on it",
		Long: `Acknowledge a request for assistance that another party made, ask what is unclear, and decide. A refusal has a ground; its reasons
are given or withheld, and both is said.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.sayCommands(inRequest(), []saying{
		{"acknowledge", "request.acknowledge"}, {"ask", "clarification.ask"}, {"accept", "decision.accept"}, {"condition", "decision.condition"},
		{"transmit", "decision.transmit"}, {"postpone", "decision.postpone"}, {"refuse", "decision.refuse"}, {"refuse-part", "decision.refuse_part"},
		{"impossible", "decision.impossible"}, {"delay", "decision.delay"}, {"ineffective", "preservation.ineffective"},
	})...)
	return cmd
}

// markings are the flags that mark what is sent.
type markings struct {
	tlp, pap, purpose string
	handling          []string
	conditions        []string
	originator        string
	agrees            bool
}

func (m *markings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.tlp, "tlp", "AMBER", "CLEAR, GREEN, AMBER, AMBER+STRICT or RED")
	f.StringVar(&m.pap, "pap", "", "CLEAR, GREEN, AMBER or RED")
	f.StringVar(&m.purpose, "purpose", "", "a code for what it may be used for")
	f.StringArrayVar(&m.handling, "handling", nil, "a handling code: H0, H1, H2 or H3; repeat for each")
	f.StringArrayVar(&m.conditions, "mark-condition", nil, "a code for a condition of use; repeat for each")
	m.originators(cmd)
}

// originators are the flags that say whose information it is.
func (m *markings) originators(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.originator, "originator", handling.OriginatorOwn, "whose information it is: own, or a party's id")
	cmd.Flags().BoolVar(&m.agrees, "originator-agrees", false, "whether the originator agrees that it is passed on")
}

// originate says in a draft whose information it is. Silence about the consent is a missing fact, not a no.
func (m *markings) originate(cmd *cobra.Command, d *node.Draft) {
	if d.Originator = m.originator; cmd.Flags().Changed("originator-agrees") {
		d.Consent = &m.agrees
	}
}

func (m markings) marking() handling.Marking {
	return handling.Marking{TLP: m.tlp, PAP: m.pap, Purpose: m.purpose, Handling: m.handling, Conditions: m.conditions}
}

func (a *app) newRequestCommand() *cobra.Command {
	var form, toDesk, fromDesk, zone, urgency, replyBy, sums string
	var m markings
	cmd := &cobra.Command{
		Use:   "new KIND LINK [FILE…]",
		Short: "Send a request, with files",
		Long: `Send a request of a kind on a link. Its face and body come as JSON from --form; "entente request form KIND" writes an empty one, and
with --explain says what belongs into each field. The number, and the zone and hours of the desk that is asked, are filled in.`,
		Example: "  entente request form preservation.request > draft.json\n  entente request new preservation.request kestria --form draft.json logs.txt",
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *node.Client, args []string) error {
		d, err := a.readForm(form)
		if err != nil {
			return err
		}
		for name, desk := range map[string]string{"to_desk": toDesk, "from_desk": fromDesk} {
			if desk == "" {
				continue
			}
			if d.Face[name], err = envelope.Marshal(desk); err != nil {
				return usage("Name --%s by all 64 digits of its first statement.", strings.ReplaceAll(name, "_", "-"))
			}
		}
		draft := node.Draft{Link: args[1], Lane: statement.Assistance, Kind: args[0], Zone: zone, Urgency: urgency, Marking: m.marking(), Body: d.Body}
		m.originate(cmd, &draft)
		if draft.Face, err = envelope.Marshal(d.Face); err != nil {
			return err
		}
		if draft.ReplyBy, err = parseTime("reply-by", replyBy); err != nil {
			return err
		}
		files, done, err := a.open(args[2:], sums)
		if err != nil {
			return err
		}
		defer done()
		show, end := a.progress("sealing")
		asked, err := c.Ask(ctx, draft, files, show)
		end()
		if err != nil {
			return err
		}
		return a.print(asked, func(w io.Writer) {
			fmt.Fprintf(w, "Sent as %s: statement %s\n", line(asked.Number), asked.Statement)
			for _, warning := range asked.Warnings {
				fmt.Fprintln(w, "Note:", line(warning))
			}
		})
	})
	f := cmd.Flags()
	f.StringVar(&form, "form", "", "the draft, as JSON, from this file, or from standard input (-)")
	sumsFlag(cmd, &sums)
	f.StringVar(&toDesk, "to-desk", "", "the desk that is asked; without it, the other party's for requests")
	f.StringVar(&fromDesk, "from-desk", "", "the desk that asks")
	f.StringVar(&zone, "zone", "UTC", "the time zone where this is written")
	f.StringVar(&urgency, "urgency", "routine", "emergency, urgent or routine")
	f.StringVar(&replyBy, "reply-by", "", "when an answer is wanted")
	m.flags(cmd)
	return cmd
}

// formDraft is a draft as a file holds it.
type formDraft struct {
	Face map[string]jsontext.Value `json:"face"`
	Body jsontext.Value            `json:"body"`
}

// readForm reads a draft; without a name it is empty.
func (a *app) readForm(name string) (formDraft, error) {
	d := formDraft{Face: map[string]jsontext.Value{}, Body: jsontext.Value("{}")}
	if name == "" {
		return d, nil
	}
	data, err := a.read(name, statement.MaxBody)
	if err != nil {
		return d, err
	}
	var read formDraft
	if err := envelope.Unmarshal(data, &read); err != nil {
		return d, fault.Wrap(fault.Invalid, "form", "The draft is not an object with face and body.", err)
	}
	if read.Face != nil {
		d.Face = read.Face
	}
	if read.Body != nil {
		d.Body = read.Body
	}
	return d, nil
}

func (a *app) formCommand() *cobra.Command {
	var explain bool
	cmd := &cobra.Command{
		Use:   "form [KIND]",
		Short: "Write an empty form, or list the kinds",
		Long: `Write an empty form of a kind as JSON: the fields that it must have, with nothing in them. With --explain it lists every field
instead, with the clause that asks for it and what to write, in English and Chinese. Without a kind it lists the kinds.`,
		Example: "  entente request form\n  entente request form mla.subscriber --explain",
		Args:    cobra.MaximumNArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			kinds := statement.FormKinds(statement.KindsEdition)
			if len(args) == 0 {
				t := newTable("KIND", "SERIES", "ENGLISH", "中文")
				for _, k := range kinds {
					t.row(k.Name, cmp.Or(k.Series, "-"), k.Label.EN, k.Label.ZH)
				}
				t.write(a.stdout)
				return nil
			}
			i := slices.IndexFunc(kinds, func(k statement.FormKind) bool { return k.Name == args[0] })
			if i < 0 {
				return usage("There is no form of the kind %q; see them with: entente request form", args[0])
			}
			if explain {
				explainForm(a.stdout, "face", kinds[i].Face(), 0)
				explainForm(a.stdout, "body", kinds[i].Body(), 0)
				return nil
			}
			data, err := envelope.Marshal(map[string]any{"face": emptyForm(kinds[i].Face(), "number", "days", "status"), "body": emptyForm(kinds[i].Body())})
			if err != nil {
				return fmt.Errorf("encoding a form: %w", err)
			}
			draft := jsontext.Value(data)
			if err := draft.Indent(); err != nil {
				return fmt.Errorf("laying out a form: %w", err)
			}
			_, err = fmt.Fprintf(a.stdout, "%s\n", draft)
			return err
		}),
	}
	cmd.Flags().BoolVar(&explain, "explain", false, "list every field and what to write")
	return cmd
}

// emptyForm holds what a form must hold, but for the fields that are filled in, with nothing in it.
func emptyForm(form statement.Form, filled ...string) map[string]any {
	out := map[string]any{}
	for _, f := range form {
		if !f.Required || slices.Contains(filled, f.Name) {
			continue
		}
		var v any = ""
		switch f.Type {
		case statement.FieldGroup:
			v = emptyForm(f.Fields)
		case statement.FieldFlag:
			v = false
		case statement.FieldWhole, statement.FieldInstant:
			v = 0
		}
		if f.Many > 0 {
			v = []any{v}
		}
		out[f.Name] = v
	}
	return out
}

func explainForm(w io.Writer, part string, form statement.Form, depth int) {
	if depth == 0 {
		fmt.Fprintf(w, "%s:\n", part)
	}
	for _, f := range form {
		need := "optional"
		if f.Required {
			need = "required"
		}
		kind := string(f.Type)
		if f.Many > 0 {
			kind = fmt.Sprintf("list of %s, at most %d", kind, f.Many)
		}
		indent := strings.Repeat("  ", depth+1)
		fmt.Fprintf(w, "%s%s (%s, %s)  %s / %s\n%s  %s %s\n", indent, f.Name, kind, need, f.Label.EN, f.Label.ZH, indent, f.Hint.EN, f.Hint.ZH)
		if f.Source != "" {
			fmt.Fprintf(w, "%s  %s\n", indent, f.Source)
		}
		for _, c := range f.Codes {
			fmt.Fprintf(w, "%s  - %s  %s / %s\n", indent, c.Name, c.EN, c.ZH)
		}
		explainForm(w, part, f.Fields, depth+1)
	}
}
