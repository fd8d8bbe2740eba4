package main

import (
	"cmp"
	"context"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// sending is the flags of send.
type sending struct {
	lane, kind, face, body    string
	subject, message, from    string
	language, zone, urgency   string
	replyBy, thread           string
	fromDesk, toDesk          string
	tlp, pap, purpose         string
	handlingCodes, conditions []string
	registered                bool
	whose                     markings // of which the originator alone is used
}

func (a *app) sendCommand() *cobra.Command {
	var s sending
	var follow bool
	var sums string
	cmd := &cobra.Command{
		Use:   "send LINK [FILE…]",
		Short: "Send a message or another statement, with files",
		Long: `Send a statement on a link, with any number of files. Without --kind it is a message. When the command ends, the
statement has its place in the lane and the ledger, and the node delivers it until the receipt is in.

With --registered, the key is withheld until the other party's node has acknowledged the sealed statement by a signed receipt: nothing
can be read that was not acknowledged. It folds, and its clocks start, when the key has been receipted. By courier that
takes three trips.

Other kinds take their face and body as JSON: --kind test --lane control --face '{}' --body '{}'.`,
		Example: `  entente send kestria --lane network --subject "Indicators" --text "As agreed." indicators.json
  entente send kestria --lane assistance --registered --subject "Request 17" --text-file request.txt
  entente send kestria --lane hotline --urgency emergency --subject "Call us" --text-file -`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *node.Client, args []string) error {
		draft, err := a.draft(args[0], s)
		if err != nil {
			return err
		}
		s.whose.originate(cmd, &draft)
		files, closeFiles, err := a.open(args[1:], sums)
		if err != nil {
			return err
		}
		defer closeFiles()
		show, end := a.progress("sealing")
		said, err := c.Send(ctx, draft, files, show)
		end()
		if err != nil {
			return err
		}
		if follow {
			if err := a.follow(ctx, c, said.String()); err != nil {
				return err
			}
		}
		return a.printSaid(said)
	})
	f := cmd.Flags()
	f.BoolVar(&follow, "follow", false, "stay until the other party's node has receipted the statement and its files")
	f.StringVar(&s.lane, "lane", string(statement.Network), "control, hotline, assistance, network, accord or dialogue")
	f.StringVar(&s.kind, "kind", "message", "the kind of statement")
	f.StringVar(&s.face, "face", "", "its face, as JSON; not for messages")
	f.StringVar(&s.body, "body", "", "its body, as JSON; not for messages")
	f.StringVar(&s.subject, "subject", "", "the subject of a message")
	f.StringVar(&s.message, "text", "", "the text of a message")
	f.StringVar(&s.from, "text-file", "", "read the text of a message from this file, or from standard input (-)")
	f.StringVar(&s.language, "language", "en", "the language of a message")
	f.StringVar(&s.fromDesk, "from-desk", "", "the desk that a message comes from")
	f.StringVar(&s.toDesk, "to-desk", "", "the desk that a message goes to")
	f.StringVar(&s.thread, "thread", "", "continue the thread of this first statement")
	sumsFlag(cmd, &sums)
	f.StringVar(&s.zone, "zone", "UTC", "the time zone that its times are meant in")
	f.StringVar(&s.urgency, "urgency", "routine", "emergency, urgent or routine")
	f.StringVar(&s.replyBy, "reply-by", "", "when an answer is wanted")
	f.BoolVar(&s.registered, "registered", false, "withhold the key until the other party has acknowledged")
	f.StringVar(&s.tlp, "tlp", "AMBER", "CLEAR, GREEN, AMBER, AMBER+STRICT or RED")
	f.StringVar(&s.pap, "pap", "", "CLEAR, GREEN, AMBER or RED")
	f.StringVar(&s.purpose, "purpose", "", "a code for what it may be used for")
	f.StringArrayVar(&s.handlingCodes, "handling", nil, "a handling code: H0, H1, H2 or H3; repeat for each")
	s.whose.originators(cmd)
	f.StringArrayVar(&s.conditions, "condition", nil, "a code for a condition of use; repeat for each")
	return cmd
}

// draft makes the draft of the flags.
func (a *app) draft(link string, s sending) (node.Draft, error) {
	d := node.Draft{
		Link: link, Lane: statement.Lane(s.lane), Kind: s.kind, Zone: s.zone, Urgency: s.urgency,
		Marking:    handling.Marking{TLP: s.tlp, PAP: s.pap, Handling: s.handlingCodes, Conditions: s.conditions, Purpose: s.purpose},
		Registered: s.registered,
		Face:       []byte(cmp.Or(s.face, "{}")), Body: []byte(cmp.Or(s.body, "{}")),
	}
	var err error
	if d.ReplyBy, err = parseTime("reply-by", s.replyBy); err != nil {
		return d, err
	}
	if s.thread != "" {
		h, err := envelope.ParseHash(s.thread)
		if err != nil {
			return d, usage("Name --thread by all 64 digits of its first statement.")
		}
		d.Thread = &h
	}
	if s.kind != "message" {
		return d, nil
	}
	if s.face != "" || s.body != "" {
		return d, usage("A message takes --subject and --text; --face and --body are for other kinds.")
	}
	if s.subject == "" {
		return d, usage("Give the message a --subject.")
	}
	if (s.message == "") == (s.from == "") {
		return d, usage("Give the message a text, by either --text or --text-file.")
	}
	if s.from != "" {
		data, err := a.read(s.from, statement.MaxBody)
		if err != nil {
			return d, err
		}
		s.message = string(data)
	}
	if d.Face, err = envelope.Marshal(statement.MessageFace{FromDesk: s.fromDesk, ToDesk: s.toDesk}); err == nil {
		d.Body, err = envelope.Marshal(statement.MessageBody{Subject: s.subject, Language: s.language, Text: s.message})
	}
	if err != nil {
		return d, fault.Wrap(fault.Invalid, "text", "The message is not valid UTF-8.", err)
	}
	return d, nil
}

// followEvery is how often is looked how far a statement has come.
const followEvery = 500 * time.Millisecond

// follow shows how far a statement's files have come, until the other party's node has receipted all of it.
func (a *app) follow(ctx context.Context, c *node.Client, statement string) error {
	show, end := a.progress("delivering")
	defer end()
	for {
		s, err := c.Statement(ctx, statement)
		if err != nil {
			return err
		}
		have, total, waits := int64(0), int64(0), s.Received == nil
		for _, f := range s.Files {
			have, total = have+f.Have, total+f.Segments
			waits = waits || f.Progress == "sending" || f.Progress == "withheld" || f.Progress == "reserved"
		}
		if show != nil && total > 0 {
			show(have, total)
		}
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

// open opens the files to send.
func (a *app) open(paths []string, sums string) (files []node.Upload, done func(), err error) {
	declared, err := a.readSums(sums)
	if err != nil {
		return nil, nil, err
	}
	var opened []*os.File
	done = func() {
		for _, f := range opened {
			f.Close()
		}
	}
	for _, path := range paths {
		if err := statement.CheckFileName(filepath.Base(path)); err != nil {
			done()
			return nil, nil, fault.Wrap(fault.Invalid, "file_name", fmt.Sprintf("The file %+q cannot be sent under this name; rename it.", path), err)
		}
		f, err := os.Open(path)
		if err != nil {
			done()
			return nil, nil, reading(path, err)
		}
		opened = append(opened, f)
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			done()
			return nil, nil, fault.New(fault.Invalid, "file", line(path)+" is not a file that can be sent; put what is in it into one file.")
		}
		media, _, err := mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(path)))
		if err != nil {
			media = "application/octet-stream"
		}
		upload := node.Upload{Name: filepath.Base(path), Media: media, Size: info.Size(), Content: f}
		if sums != "" {
			sum, there := declared[upload.Name]
			if !there {
				done()
				return nil, nil, fault.New(fault.Invalid, "sums", fmt.Sprintf("%s has no line for %s; add it, or leave the file out.", line(sums), line(upload.Name)))
			}
			upload.SHA256 = &sum
		}
		files = append(files, upload)
	}
	return files, done, nil
}

// sumsFlag is the flag that declares what files must hash to.
func sumsFlag(cmd *cobra.Command, sums *string) {
	cmd.Flags().StringVar(sums, "sums", "", "a list as sha256sum writes it: nothing is sent unless each file has the hash that stands there")
}

// maxSums bounds a list of hashes.
const maxSums = 1 << 20

// readSums reads a list as sha256sum writes it, by the last part of each name; without a name there is none.
func (a *app) readSums(name string) (map[string]envelope.Hash, error) {
	if name == "" {
		return nil, nil
	}
	data, err := a.read(name, maxSums)
	if err != nil {
		return nil, err
	}
	sums := map[string]envelope.Hash{}
	for at := range strings.Lines(string(data)) {
		digits, file, ok := strings.Cut(strings.TrimRight(at, "\r\n"), " ")
		sum, err := envelope.ParseHash(digits)
		if !ok || err != nil || len(file) < 2 || !strings.ContainsAny(file[:1], " *") {
			return nil, fault.New(fault.Invalid, "sums", line(name)+" is no list of SHA-256 hashes and files; make it with: sha256sum FILE…")
		}
		file = filepath.Base(file[1:])
		if other, there := sums[file]; there && other != sum {
			return nil, fault.New(fault.Invalid, "sums", fmt.Sprintf("%s names %s twice, with two hashes.", line(name), line(file)))
		}
		sums[file] = sum
	}
	return sums, nil
}

// marking shows the codes of a marking.
func marking(m handling.Marking) string {
	parts := []string{"TLP:" + m.TLP}
	if m.PAP != "" {
		parts = append(parts, "PAP:"+m.PAP)
	}
	parts = slices.Concat(parts, m.Handling, m.Conditions)
	if m.Purpose != "" {
		parts = append(parts, fmt.Sprintf("purpose %s", m.Purpose))
	}
	return line(strings.Join(parts, " "))
}
