package main

import (
	"context"

	"github.com/spf13/cobra"

	"entente/internal/fault"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Play a whole exchange between two parties on this machine",
		Args:  cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			return fault.New(fault.Unavailable, "demo", "not yet")
		}),
	}
}
