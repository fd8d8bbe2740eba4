package housetest

import (
	"bytes"
	"context"
	"io"

	"entente/internal/fault"
	"entente/internal/flow"
)

// courier lets a node pack what is due for a link. Its file travels, may be cut or taken twice, and its answers may get lost.
func (w *world) courier(n *node) {
	l := n.anyLink()
	var file bytes.Buffer
	err := n.act("pack", func(h *flow.House) error { return h.Pack(context.Background(), member(), l.id, false, &file) })
	w.note("%s on %s packs a courier file: %s", n.name, l.name, brief(err))
	if err != nil {
		n.tolerate("pack", err)
		return
	}
	data := file.Bytes()
	cut := w.chance(w.sky.cut)
	if cut {
		data = data[:w.r.IntN(len(data))]
	}
	answers := w.unpack(l.other(n), l, data, cut)
	if w.chance(w.sky.doubled) {
		answers = w.unpack(l.other(n), l, data, cut)
	}
	if answers != nil && !w.chance(w.sky.lostAnswer) {
		w.unpack(n, l, answers, false)
	}
}

// unpack lets a node take a courier file, and returns the one that answers it; nil if it came to nothing.
func (w *world) unpack(n *node, l *link, file []byte, cut bool) []byte {
	var answers bytes.Buffer
	err := n.act("unpack", func(h *flow.House) error {
		return h.Unpack(context.Background(), member(), bytes.NewReader(file), func() (io.Writer, error) { return &answers, nil })
	})
	w.note("%s on %s takes a courier file, cut %t: %s", n.name, l.name, cut, brief(err))
	if err != nil {
		if !cut || fault.CodeOf(err) != "courier_file" {
			n.tolerate("unpack", err)
		}
		return nil
	}
	w.out.Carried++
	return answers.Bytes()
}
