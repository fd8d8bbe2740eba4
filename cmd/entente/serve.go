package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) serveCommand() *cobra.Command {
	given := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the node",
		Long: `Run the node of a data directory until it is interrupted.

Every setting is taken from the first of these that has it: its flag, the environment variable ENTENTE_ with the name
in capitals, the file entente.conf in the data directory (lines of name = value), the default. A setting that is not
known is refused.

` + settingsTable(),
		Args: cobra.NoArgs,
	}
	for _, s := range node.Settings() {
		given[s.Name] = cmd.Flags().String(strings.ReplaceAll(s.Name, "_", "-"), s.Default, s.Usage)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.run(func(ctx context.Context, _ []string) error {
			flags := map[string]string{}
			for name, value := range given {
				if cmd.Flags().Changed(strings.ReplaceAll(name, "_", "-")) {
					flags[name] = *value
				}
			}
			cfg, err := node.LoadConfig(a.data, flags, a.env)
			if err != nil {
				return err
			}
			return node.Run(ctx, cfg, a.passphrase(ctx))
		})(cmd, args)
	}
	return cmd
}

// settingsTable documents the settings of entente.conf.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("Settings:\n")
	for _, s := range node.Settings() {
		fmt.Fprintf(&b, "  %-13s %s", s.Name, s.Usage)
		if s.Default != "" {
			fmt.Fprintf(&b, " (default %s)", s.Default)
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}
