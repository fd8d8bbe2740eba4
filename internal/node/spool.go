package node

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"os"

	"entente/internal/api"
	"entente/internal/fault"
)

// spool keeps uploaded files in a directory, encrypted under a key that never leaves memory: what a crash leaves on the
// disk nobody can read. The node empties the directory when it starts.
type spool struct {
	dir     string
	reserve func(int64) error // refuses bytes that the disk has no room for
}

// reserveEvery is how many bytes of a file are taken between looks at the disk.
const reserveEvery = 16 << 20

// spooled is one file. AES-CTR without authentication is enough: only this process reads it, to seal it at once.
type spooled struct {
	file  *os.File
	block cipher.Block
	iv    []byte
	size  int64
}

// take reads r to its end. What it took so far is returned with an error too, for the caller to remove.
func (s *spool) take(r io.Reader) (api.Spooled, error) {
	f, err := os.CreateTemp(s.dir, "upload-")
	if err != nil {
		return nil, spoolFault(err)
	}
	key, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	rand.Read(key)
	rand.Read(iv)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	out := &spooled{file: f, block: block, iv: iv}
	w := cipher.StreamWriter{S: cipher.NewCTR(block, iv), W: f}
	for {
		if err := s.reserve(reserveEvery); err != nil {
			return out, err
		}
		n, err := io.CopyN(spoolWriter{w}, r, reserveEvery)
		out.size += n
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

// spoolWriter tells a failure of the disk from one of what is read.
type spoolWriter struct{ w io.Writer }

func (s spoolWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		err = spoolFault(err)
	}
	return n, err
}

func spoolFault(err error) error {
	return fault.Wrap(fault.Unavailable, "spool", "The node has no room to take the file; make room on its disk.", err)
}

// Open reads it from the start; it may be opened more than once.
func (s *spooled) Open() (io.ReadCloser, error) {
	return io.NopCloser(cipher.StreamReader{
		S: cipher.NewCTR(s.block, s.iv), R: io.NewSectionReader(s.file, 0, s.size),
	}), nil
}

func (s *spooled) Remove() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }
