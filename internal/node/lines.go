package node

import (
	"bufio"
	"io"
)

// lines reads the lines of an NDJSON answer, each up to maxLine bytes.
type lines struct{ s *bufio.Scanner }

const maxLine = 16 << 20

func newLines(r io.Reader) *lines {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return &lines{s}
}

// next is the next line; an answer that ends has broken off, as the last line is read by the one who knows it.
func (l *lines) next() ([]byte, error) {
	if l.s.Scan() {
		return l.s.Bytes(), nil
	}
	if err := l.s.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}
