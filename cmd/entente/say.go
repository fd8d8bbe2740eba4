package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// saying is a command that says one kind of thing in the thread of a request.
type saying struct{ verb, kind string }

// sayCommands makes the commands. Each has a flag for every field of the kind's face and body that is not a group.
func (a *app) sayCommands(sayings []saying) []*cobra.Command {
	var commands []*cobra.Command
	for _, s := range sayings {
		kind, ok := statement.FormKindOf(statement.KindsEdition, s.kind)
		if !ok {
			panic("entente: a command says " + s.kind + ", which is no kind") // found by every test of the commands
		}
		commands = append(commands, a.sayCommand(s.verb, kind))
	}
	return commands
}

func (a *app) sayCommand(verb string, kind statement.FormKind) *cobra.Command {
	var form string
	var m markings
	given := map[string]*[]string{} // by field
	cmd := &cobra.Command{
		Use:   verb + " REQUEST [FILE…]",
		Short: kind.Label.EN + " / " + kind.Label.ZH,
		Long: fmt.Sprintf(`Say %s in the thread of a request: %s / %s. What belongs into each field: entente request form %s --explain.`,
			kind.Name, kind.Label.EN, kind.Label.ZH, kind.Name),
		Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *node.Client, args []string) error {
		draft, err := a.wordOf(kind, form, given)
		if err != nil {
			return err
		}
		draft.Marking = m.marking()
		m.originate(cmd, &draft)
		files, done, err := open(args[1:])
		if err != nil {
			return err
		}
		defer done()
		show, end := a.progress("sealing")
		said, err := c.Reply(ctx, args[0], draft, files, show)
		end()
		if err != nil {
			return err
		}
		return a.printSaid(said)
	})
	f := cmd.Flags()
	f.StringVar(&form, "form", "", "face and body as JSON, from this file, or from standard input (-)")
	m.flags(cmd)
	for _, field := range slices.Concat(kind.Face(), kind.Body()) {
		given[field.Name] = f.StringArray(strings.ReplaceAll(field.Name, "_", "-"), nil, flagWords(field))
	}
	return cmd
}

// flagWords says what the flag of a field takes.
func flagWords(f statement.Field) string {
	words := strings.ToLower(f.Label.EN[:1]) + f.Label.EN[1:]
	if len(f.Codes) > 0 {
		names := make([]string, len(f.Codes))
		for i, c := range f.Codes {
			names[i] = c.Name
		}
		words += ": " + strings.Join(names, ", ")
	}
	if f.Type == statement.FieldCited {
		words += " (by default the latest)"
	}
	if f.Many > 0 {
		words += "; repeat for each"
	}
	return words
}

// wordOf makes the draft of a word of a form and of the flags that were given, which come before it.
func (a *app) wordOf(kind statement.FormKind, form string, given map[string]*[]string) (node.Draft, error) {
	draft := node.Draft{Lane: statement.Assistance, Kind: kind.Name}
	d, err := a.readForm(form)
	if err != nil {
		return draft, err
	}
	body := map[string]jsontext.Value{}
	if err := envelope.Unmarshal(d.Body, &body); err != nil {
		return draft, fault.Wrap(fault.Invalid, "form", "The body of the draft is not an object.", err)
	}
	for _, part := range []struct {
		form    statement.Form
		members map[string]jsontext.Value
		into    *jsontext.Value
	}{{kind.Face(), d.Face, &draft.Face}, {kind.Body(), body, &draft.Body}} {
		for _, field := range part.form {
			if values := *given[field.Name]; len(values) > 0 {
				if part.members[field.Name], err = fieldOf(field, values); err != nil {
					return draft, err
				}
			}
		}
		if *part.into, err = envelope.Marshal(part.members); err != nil {
			return draft, fault.Wrap(fault.Invalid, "form", "What was given is not valid UTF-8.", err)
		}
	}
	return draft, nil
}

// fieldOf is the JSON of a field that was given on the command line.
func fieldOf(f statement.Field, values []string) (jsontext.Value, error) {
	if f.Many > 0 {
		return envelope.Marshal(values)
	}
	if len(values) > 1 {
		return nil, usage("--%s is given more than once.", strings.ReplaceAll(f.Name, "_", "-"))
	}
	switch f.Type {
	case statement.FieldInstant:
		at, err := parseTime(f.Name, values[0])
		if err != nil || at == nil {
			return nil, err
		}
		return envelope.Marshal(at.UnixMicro())
	case statement.FieldFlag:
		set, err := strconv.ParseBool(values[0])
		if err != nil {
			return nil, usage("Write --%s as true or false, not %q.", f.Name, values[0])
		}
		return envelope.Marshal(set)
	}
	return envelope.Marshal(values[0])
}
