package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"entente/internal/fault"
	"entente/internal/node"
)

// paper is one generated file.
type paper struct {
	path string
	data []byte
}

func (a *app) docsCommand() *cobra.Command {
	var check bool
	var dir string
	cmd := &cobra.Command{
		Use:    "docs",
		Short:  "Write the manual pages and the description of the API",
		Long:   "Write the papers that are made from the program: manual pages to man and the OpenAPI document to api, below a directory.",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			papers, err := a.papers()
			if err != nil {
				return err
			}
			if check {
				return comparePapers(dir, papers)
			}
			return writePapers(dir, papers)
		}),
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing, and fail if a file differs")
	cmd.Flags().StringVar(&dir, "dir", "docs", "where to write")
	return cmd
}

// papers makes every generated file. The date of the pages is fixed, so that the same program makes the same files.
func (a *app) papers() ([]paper, error) {
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	openapi, err := node.OpenAPI()
	if err != nil {
		return nil, err
	}
	out := []paper{{filepath.Join("api", "openapi.json"), openapi}}
	var pages func(c *cobra.Command) error
	pages = func(c *cobra.Command) error {
		if c.Hidden || c.Name() == "help" || c.IsAdditionalHelpTopicCommand() && len(c.Commands()) == 0 {
			return nil
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		var b bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Date: &date, Source: "Entente", Manual: "Entente manual"}
		if err := doc.GenMan(c, header, &b); err != nil {
			return fmt.Errorf("writing the manual page %s: %w", name, err)
		}
		out = append(out, paper{filepath.Join("man", name), b.Bytes()})
		for _, sub := range c.Commands() {
			if err := pages(sub); err != nil {
				return err
			}
		}
		return nil
	}
	return out, pages(a.root())
}

func writePapers(dir string, papers []paper) error {
	for _, p := range papers {
		path := filepath.Join(dir, p.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("making the directory of %s: %w", path, err)
		}
		if err := os.WriteFile(path, p.data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// comparePapers fails with every file that differs, is missing, or is there without being made any more.
func comparePapers(dir string, papers []paper) error {
	made := map[string]bool{}
	var differ []error
	for _, p := range papers {
		made[p.path] = true
		data, err := os.ReadFile(filepath.Join(dir, p.path))
		if err != nil || !bytes.Equal(data, p.data) {
			differ = append(differ, errors.New(p.path))
		}
	}
	for _, sub := range []string{"man", "api"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("listing %s: %w", sub, err)
		}
		for _, e := range entries {
			if name := filepath.Join(sub, e.Name()); !made[name] {
				differ = append(differ, errors.New(name))
			}
		}
	}
	if len(differ) > 0 {
		return fault.Wrap(fault.Conflict, "papers", "The papers differ from the program; write them with: entente docs", errors.Join(differ...))
	}
	return nil
}
