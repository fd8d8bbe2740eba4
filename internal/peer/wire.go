package peer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"entente/envelope"
	"entente/internal/fault"
	"entente/parcel"
	"entente/statement"
)

const (
	pingPath   = "/entente/v1/ping"
	helloPath  = "/entente/v1/pair/hello"
	revealPath = "/entente/v1/pair/reveal"

	framesType  = "application/vnd.entente.frames"
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

func exchangePath(link statement.LinkID) string {
	return "/entente/v1/links/" + link.String() + "/exchange"
}

// The bodies of pairing.
type (
	helloRequest struct {
		Token []byte `json:"token"`
	}
	helloAnswer struct {
		Commit envelope.Hash `json:"commit"`
	}
	revealRequest struct {
		Token    []byte   `json:"token"`
		Identity [][]byte `json:"identity"` // the invitee's chain
		Nonce    []byte   `json:"nonce"`
		Endpoint string   `json:"endpoint,omitempty"`
	}
	revealAnswer struct {
		Nonce []byte `json:"nonce"`
	}
	pong struct {
		V int `json:"v"`
	}
)

// problem is RFC 9457 problem details; Type is left out, so it is about:blank.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func nonce(b []byte) ([32]byte, error) {
	if len(b) != 32 {
		return [32]byte{}, fault.New(fault.Invalid, "nonce", "A nonce has 32 bytes.")
	}
	return [32]byte(b), nil
}

// plain says whether a header announces exactly this media type, uncompressed.
func plain(h http.Header, want string) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == want && h.Get("Content-Encoding") == ""
}

// readFrames reads at most max frames from a body of so many bytes; below 0: its length is not known. Errors are faults.
func readFrames(r io.Reader, length int64, max int) ([]parcel.Frame, error) {
	if length == 0 {
		return nil, nil
	}
	size := 64 << 10
	if 0 < length && length < int64(size) {
		size = int(length)
	}
	var frames []parcel.Frame
	reader := parcel.NewFrameReader(bufio.NewReaderSize(r, size))
	for {
		f, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, bodyFault(err)
		}
		if len(frames) == max {
			return nil, fault.New(fault.TooLarge, "frames", fmt.Sprintf("There are more than %d frames in this.", max))
		}
		frames = append(frames, f)
	}
}

// bodyFault turns an error of reading a body into a fault.
func bodyFault(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Wrap(fault.TooLarge, "size", fmt.Sprintf("This is longer than %d bytes.", tooLarge.Limit), err)
	}
	if _, ok := errors.AsType[*envelope.FormatError](err); ok {
		return fault.Wrap(fault.Invalid, "format", "This is malformed.", err)
	}
	return fault.Wrap(fault.Unavailable, "body", "This did not arrive whole.", err)
}

// framesBody is the frames as they go over the wire, without copying their payloads, and its length.
func framesBody(frames []parcel.Frame) (io.Reader, int64) {
	parts := make([]io.Reader, 0, 2*len(frames))
	length := int64(0)
	for _, f := range frames {
		head := binary.BigEndian.AppendUint32([]byte{byte(f.Kind)}, uint32(len(f.Payload)))
		parts = append(parts, bytes.NewReader(head), bytes.NewReader(f.Payload))
		length += int64(len(head) + len(f.Payload))
	}
	return io.MultiReader(parts...), length
}
