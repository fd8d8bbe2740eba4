package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"entente/internal/fault"
	"entente/internal/node"
	"entente/parcel"
)

func (a *app) courierCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "courier",
		Short: "Carry what is due for a link in files, without a network",
		Long: `Carry what is due for a link in files, without a network: "pack" writes a file on the one side, "unpack" takes it on the
other side and writes the answers into a file that goes back. What is inside is sealed and signed, as on the network: who
carries it can lose it, and neither read nor change it. What came in a file and by the network, too, counts once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.packCommand(), a.unpackCommand(), a.listCourierCommand())
	return cmd
}

// packed is a courier file that was written, as --json shows it.
type packed struct {
	File  string   `json:"file,omitempty"`
	Parts []string `json:"parts,omitempty"` // with --max-size
}

func (a *app) packCommand() *cobra.Command {
	var max string
	var again bool
	cmd := &cobra.Command{
		Use:   "pack LINK FILE",
		Short: "Write all that is due for a link into a new file",
		Long: `Write all that is due for a link into a new file: statements, files of any size, receipts and the ledger. Nothing counts
as delivered until its receipt is here: until then, each file has it again.

With --max-size it is written in parts, FILE.001, FILE.002 and so on, so that it goes on several disks. Each part is a courier
file by itself: the other party unpacks them in any order, and a part that gets lost keeps nothing else back.

On a link that goes one way no receipt comes: what left in a file is not packed again. If a file got lost, --again packs all that
ever left: what has not expired, and the headers of the rest, so that the other party waits for nothing that cannot come.`,
		Example: "  entente courier pack kestria /media/disk/to-kestria.parcel\n  entente courier pack kestria to-kestria.parcel --max-size 4G",
		Args:    cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if max != "" {
				return a.packParts(ctx, c, args[0], again, args[1], max)
			}
			show, end := a.progress("packing")
			err := a.save(args[1], func(w io.Writer) error { return c.Pack(ctx, args[0], again, w, show) })
			end()
			if err != nil {
				return err
			}
			return a.print(packed{File: args[1]}, func(w io.Writer) {
				fmt.Fprintf(w, "It is in %s.\nThe other party takes it with: entente courier unpack %s --answers FILE\n(without --answers if the link goes one way)\n", line(args[1]), line(args[1]))
			})
		}),
	}
	cmd.Flags().StringVar(&max, "max-size", "", "write it in parts of at most so many bytes each; K, M or G may follow")
	cmd.Flags().BoolVar(&again, "again", false, "of a one-way link, pack all that ever left by it")
	return cmd
}

// packParts writes the parts of a courier file; if one of them cannot be written, none is left.
func (a *app) packParts(ctx context.Context, c *node.Client, link string, again bool, name, size string) error {
	max, err := node.ParseBytes(size)
	if err != nil || max < parcel.MinPart {
		return usage("Give --max-size as a number of bytes, %dM at least; K, M or G may follow.", parcel.MinPart>>20)
	}
	var parts []string
	var open *os.File
	finish := func() error {
		if open == nil {
			return nil
		}
		f := open
		open = nil
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fault.Wrap(fault.Unavailable, "file", "The file "+line(f.Name())+" cannot be written.", err)
		}
		return nil
	}
	show, end := a.progress("packing")
	_, err = c.PackParts(ctx, link, again, max, func(part int) (io.Writer, error) {
		if err := finish(); err != nil {
			return nil, err
		}
		f, err := create(fmt.Sprintf("%s.%03d", name, part))
		if err != nil {
			return nil, err
		}
		open, parts = f, append(parts, f.Name())
		return f, nil
	}, show)
	end()
	if e := finish(); err == nil {
		err = e
	}
	if err != nil {
		for _, part := range parts {
			os.Remove(part)
		}
		return err
	}
	return a.print(packed{Parts: parts}, func(w io.Writer) {
		fmt.Fprintf(w, "Parts: %d, %s to %s.\nThe other party takes each with: entente courier unpack FILE --answers FILE\n",
			len(parts), line(parts[0]), line(parts[len(parts)-1]))
	})
}

// unpacked is a courier file that was taken, as --json shows it.
type unpacked struct {
	File    string `json:"file"`
	Whole   bool   `json:"whole"`
	Answers string `json:"answers,omitempty"`
}

func (a *app) unpackCommand() *cobra.Command {
	var answers string
	cmd := &cobra.Command{
		Use:   "unpack FILE",
		Short: "Take a file that the other party packed",
		Long: `Take a file that the other party packed, or the answers to one of ours. With --answers, the receipts, cosignatures and
wishes that answer it are written into a new file, to be unpacked by the other party. Without it, the next file that is
packed shows the receipts, and the rest is answered when the other party packs again. On a link that goes one way nothing goes back,
so there are no answers.

A file that broke off on its way is taken as far as it came; the exit status is then 1.`,
		Example: "  entente courier unpack /media/disk/to-kestria.parcel --answers /media/disk/to-arvenia.parcel",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return reading(args[0], err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return reading(args[0], err)
			}
			if !info.Mode().IsRegular() {
				return fault.New(fault.Invalid, "file", line(args[0])+" is not a file.")
			}
			if answers != "" {
				if err := a.goesBack(ctx, c, f); err != nil {
					return err
				}
			}
			var cut bool
			take := func(w io.Writer) (err error) {
				show, end := a.progress("unpacking")
				defer end()
				cut, err = c.Unpack(ctx, f, info.Size(), w, show)
				return err
			}
			if answers == "" {
				err = take(io.Discard)
			} else {
				err = a.save(answers, take)
			}
			if err != nil {
				return err
			}
			err = a.print(unpacked{args[0], !cut, answers}, func(w io.Writer) { showUnpacked(w, args[0], answers, cut) })
			if cut {
				err = errors.Join(err, errNotHeld)
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&answers, "answers", "", "write the answers into this new file")
	return cmd
}

// goesBack refuses to make answers to a file of a link that goes one way, and leaves a file that is none to the node.
func (a *app) goesBack(ctx context.Context, c *node.Client, f *os.File) error {
	if b, _, err := parcel.ReadBundle(f); err == nil {
		l, err := c.Link(ctx, b.Link.String())
		if err == nil && l.Reach == node.ReachOnewayIn {
			return usage("This link goes one way: nothing goes back, so there are no answers; leave out --answers.")
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return reading(f.Name(), err)
	}
	return nil
}

func showUnpacked(w io.Writer, file, answers string, cut bool) {
	if cut {
		fmt.Fprintf(w, "%s BROKE OFF OR WAS DAMAGED. What came before was taken; ask the other party to pack another.\n", line(file))
	} else {
		fmt.Fprintf(w, "All of %s was taken.\n", line(file))
	}
	if answers != "" {
		fmt.Fprintf(w, "The answers are in %s; the other party takes them with: entente courier unpack %s\n", line(answers), line(answers))
	}
}
