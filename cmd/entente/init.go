package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) initCommand() *cobra.Command {
	var party, settings []string
	f := node.Founding{}
	days := 0
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create a node: its data directory, keys and identity",
		Long: `Create the data directory of a new node, its keys, the party's identity and three recovery keys, of which any two
restore the identity when the keys are lost or stolen.

The keys are locked by a passphrase, which is asked for or read from $ENTENTE_PASSPHRASE, or with --key-file by a file,
which is made if it does not exist.`,
		Example: `  entente init --data /srv/arvenia --name en=Arvenia --name zh=阿文尼亚 --authority "Ministry of the Interior" \
    --set listen=0.0.0.0:7443 --set endpoint=https://entente.arvenia.example:7443`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			var err error
			if f.Names, err = pairs("name", party); err != nil {
				return err
			}
			if len(f.Names) == 0 || f.Names["en"] == "" {
				return usage("Name the party, in English at least: --name en=Arvenia")
			}
			if f.Authority == "" {
				return usage("Say with --authority which office answers for the party.")
			}
			if f.Settings, err = pairs("set", settings); err != nil {
				return err
			}
			if f.KeyFile == "" {
				if f.Passphrase, err = a.newPassphrase(ctx); err != nil {
					return err
				}
			}
			f.Data, f.Now, f.Validity = a.data, a.now(), time.Duration(days)*24*time.Hour
			founded, err := node.Found(ctx, f)
			if err != nil {
				return err
			}
			return a.print(founded, func(w io.Writer) { a.showFounded(w, founded) })
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&party, "name", nil, "a name of the party as language=name, such as en=Arvenia; repeat for each language")
	flags.StringVar(&f.Authority, "authority", "", "the office that answers for the party")
	flags.StringVar(&f.KeyFile, "key-file", "", "lock the keys by this file instead of a passphrase; it is made if it does not exist")
	flags.StringVar(&f.Recovery, "recovery", "", "directory for the recovery keys (default recovery in the data directory)")
	flags.IntVar(&days, "days", 3*365, "how long the identity is valid, in days")
	flags.StringArrayVar(&settings, "set", nil, "a setting to write into entente.conf, as name=value; repeat for each")
	return cmd
}

func (a *app) showFounded(w io.Writer, f node.Founded) {
	pair(w, "Party", f.Party.String())
	pair(w, "Fingerprint", f.Fingerprint)
	pair(w, "Data", f.Data)
	for _, path := range f.Recovery {
		pair(w, "Recovery key", path)
	}
	fmt.Fprintf(w, "\nPrint the recovery keys, keep them apart from each other, and delete the files.\nStart the node with: entente serve --data %s\n", f.Data)
}
