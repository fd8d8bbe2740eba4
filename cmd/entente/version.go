package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			v := node.Version()
			return a.print(v, func(w io.Writer) { fmt.Fprintf(w, "entente %s, %s\n", v.Version, v.Go) })
		}),
	}
}
