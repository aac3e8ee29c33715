package daemon

import (
	"archive/tar"
	"errors"
	"io"
	"path"
)

// plain returns a tar stream reduced to files, folders and links, with paths below its root. An error of
// content is passed to fault, and the result of that to the reader.
func plain(content io.Reader, fault func(error) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		err := copyPlain(w, content)
		if err != nil {
			err = fault(err)
		}
		w.CloseWithError(err)
	}()
	return r
}

func copyPlain(to io.Writer, from io.Reader) error {
	r, w := tar.NewReader(from), tar.NewWriter(to)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !makePlain(header) {
			continue
		}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, from) // padding that the sender still writes
	return err
}

// makePlain makes paths relative to the root, and reports whether header is a file, folder or link below that.
func makePlain(header *tar.Header) bool {
	header.Name = below(header.Name)
	header.Format = tar.FormatPAX // a superset of the other formats
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeSymlink:
	case tar.TypeGNUSparse: // the reader fills the holes
		header.Typeflag = tar.TypeReg
	case tar.TypeLink:
		header.Linkname = below(header.Linkname)
	case tar.TypeDir:
		header.Name += "/"
		return header.Name != "/"
	default:
		return false
	}
	return header.Name != ""
}

// below returns a path as one relative to the root; "" is the root itself.
func below(name string) string { return path.Clean("/" + name)[1:] }
