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

// saying is a command that says one kind of thing.
type saying struct{ verb, kind string }

// topic is what commands say something about: how their argument is called, and who carries it to the node.
type topic struct {
	noun, where string // "REQUEST", "in the thread of a request"
	urgency     bool   // it is asked for; else it is that of the thread
	say         func(ctx context.Context, c *node.Client, name string, d node.Draft, files []node.Upload, p node.Progress) (node.Called, error)
}

func inRequest() topic {
	return topic{noun: "REQUEST", where: "in the thread of a request", say: func(ctx context.Context, c *node.Client, name string, d node.Draft, files []node.Upload, p node.Progress) (node.Called, error) {
		said, err := c.Reply(ctx, name, d, files, p)
		return node.Called{Statement: said}, err
	}}
}

// sayCommands makes the commands. Each has a flag for every field of the kind's face and body that is not a group.
func (a *app) sayCommands(about topic, sayings []saying) []*cobra.Command {
	var commands []*cobra.Command
	for _, s := range sayings {
		kind, ok := statement.FormKindOf(statement.KindsEdition, s.kind)
		if !ok {
			panic("entente: a command says " + s.kind + ", which is no kind") // found by every test of the commands
		}
		commands = append(commands, a.sayCommand(s.verb, about, kind))
	}
	return commands
}

func (a *app) sayCommand(verb string, about topic, kind statement.FormKind) *cobra.Command {
	var form, urgency, sums string
	var m markings
	given := map[string]*[]string{} // by field
	cmd := &cobra.Command{
		Use:   verb + " " + about.noun + " [FILE…]",
		Short: kind.Label.EN + " / " + kind.Label.ZH,
		Long: fmt.Sprintf(`Say %s %s: %s / %s. What belongs into each field: entente request form %s --explain.`,
			kind.Name, about.where, kind.Label.EN, kind.Label.ZH, kind.Name),
		Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *node.Client, args []string) error {
		draft, err := a.wordOf(kind, form, given)
		if err != nil {
			return err
		}
		draft.Marking, draft.Urgency = m.marking(), urgency
		m.originate(cmd, &draft)
		files, done, err := a.open(args[1:], sums)
		if err != nil {
			return err
		}
		defer done()
		show, end := a.progress("sealing")
		said, err := about.say(ctx, c, args[0], draft, files, show)
		end()
		if err != nil {
			return err
		}
		for _, warning := range said.Warnings {
			fmt.Fprintln(a.stderr, "Note:", line(warning))
		}
		return a.printSaid(said.Statement)
	})
	f := cmd.Flags()
	f.StringVar(&form, "form", "", "face and body as JSON, from this file, or from standard input (-)")
	sumsFlag(cmd, &sums)
	m.flags(cmd)
	if about.urgency {
		f.StringVar(&urgency, "urgency", "urgent", "emergency, urgent or routine")
	}
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
	if f.Name == "cites" {
		words += " (by default the latest)"
	}
	if f.Many > 0 {
		words += "; repeat for each"
	}
	return words
}

// wordOf makes the draft of a word of a form and of the flags that were given, which come before it.
func (a *app) wordOf(kind statement.FormKind, form string, given map[string]*[]string) (node.Draft, error) {
	draft := node.Draft{Lane: kind.Lane, Kind: kind.Name}
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
