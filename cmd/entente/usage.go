package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"entente/internal/node"
)

// usageError is a mistake in how the command was called.
type usageError struct{ sentence string }

func (e usageError) Error() string { return e.sentence }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// maxSlips is how many characters a name may differ from the one that is suggested for it; a short one fewer.
const maxSlips = 2

// ownWords makes a command and those below it answer wrong arguments with the line that shows how it is called, and an
// unknown command with the nearest that there is.
func ownWords(cmd *cobra.Command) {
	check := cmd.Args
	cmd.SuggestionsMinimumDistance = maxSlips
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check == nil || check(cmd, args) == nil {
			return nil
		}
		if !cmd.HasSubCommands() {
			return usage("This is called as: %s", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usage("There is no command %q; did you mean: %s %s", args[0], cmd.CommandPath(), near[0])
		}
		if !cmd.HasParent() {
			return usage("There is no command %q.", args[0])
		}
		var below []string
		for _, sub := range cmd.Commands() {
			below = append(below, sub.Name())
		}
		return usage("There is no command %q; below %s there are: %s", args[0], cmd.CommandPath(), strings.Join(below, ", "))
	}
	for _, sub := range cmd.Commands() {
		ownWords(sub)
	}
}

// helpOf makes the command help refuse what is no command, as the command itself is refused.
func helpOf(root *cobra.Command) {
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Short, help.Long = "Show what a command does", "Show what a command does, how it is called, and its flags."
		help.Run = nil
		help.RunE = func(_ *cobra.Command, args []string) error {
			cmd := root
			for _, name := range args {
				i := slices.IndexFunc(cmd.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name || sub.HasAlias(name) })
				switch {
				case i < 0 && cmd.HasSubCommands():
					return cmd.Args(cmd, []string{name})
				case i < 0:
					return usage("There is no command %q below %s, which is called as: %s", name, cmd.CommandPath(), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
				}
				cmd = cmd.Commands()[i]
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		}
	}
}

// flagError says what is wrong with a flag, and names the nearest to an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{err.Error()}
	}
	name := unknown.GetSpecifiedName()
	var near []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && node.EditDistance(name, f.Name) <= min(maxSlips, len(name)/3) {
			near = append(near, f.Name)
		}
	})
	if len(near) == 0 {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		return usage("There is no flag %s%s; this is called as: %s", dashes, name, cmd.UseLine())
	}
	nearest := slices.MinFunc(near, func(a, b string) int { return node.EditDistance(name, a) - node.EditDistance(name, b) })
	return usage("There is no flag --%s; did you mean --%s?", name, nearest)
}
