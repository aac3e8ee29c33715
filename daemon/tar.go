package daemon

import (
	"archive/tar"
	"errors"
	"io"
	"path"
)

// plain returns a tar stream as one of files, folders and links alone, with paths below its root. The error
// of content that breaks off is given to fault, and what that returns to the reader.
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
	_, err := io.Copy(io.Discard, from) // padding, which the writer wants to get rid of
	return err
}

// makePlain makes the paths in header relative to the root, and reports whether it is for a file, folder or
// link below that.
func makePlain(header *tar.Header) bool {
	header.Name = below(header.Name)
	header.Format = tar.FormatPAX // holds what any other does
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
