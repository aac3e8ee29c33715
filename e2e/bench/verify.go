package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// verifiers read all layers of $list and compare their digests.
var verifiers = []peer{
	{"docker multiarch verify --deep", "docker", `docker multiarch verify --deep "$list"`},
	{"crane validate --remote", "crane", `crane validate --insecure --remote "$list"`},
}

// The promises of verify --deep: its time in times of that of crane, and its memory in bytes.
const (
	maxVerifyRatio  = 1.2
	maxVerifyMemory = 96 << 20
)

// rootFiles is the number of files of the root file system that is verified, of at most rootFileSize bytes each.
const (
	rootFiles    = 30_000
	rootFileSize = 16 << 20
)

// verification measures a check of all layers: of noise, and of programs of this machine.
func verification(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := l.registries[0]
	list, err := putNoiseList(ctx, r, "verify")
	if err != nil {
		return err
	}
	if _, err := putArchives(ctx, r, "verify", benchPlatforms[0], []archive{rootFileSystem}); err != nil {
		return err
	}
	if err := l.verify(ctx, "4 platforms x 4 layers x 8 MiB", list); err != nil {
		return err
	}
	return l.verify(ctx, fmt.Sprintf("a root file system of %d files", rootFiles), r.Host+"/verify:"+benchPlatforms[0])
}

// putNoiseList puts an OCI index of four images of four layers of noise, and returns its name.
func putNoiseList(ctx context.Context, r *servers.Registry, repo string) (string, error) {
	var children []images.Manifest
	for _, arch := range benchPlatforms[:4] {
		var layers []archive
		for i := range 4 {
			layers = append(layers, func(w *tar.Writer) error {
				const size = 8 << 20
				if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint("noise", i), Mode: 0o644, Size: size}); err != nil {
					return err
				}
				_, err := io.CopyN(w, rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, arch, i))), size)
				return err
			})
		}
		m, err := putArchives(ctx, r, repo, arch, layers)
		if err != nil {
			return "", err
		}
		children = append(children, m)
	}
	list := images.Index(images.OCI, children...)
	return r.Host + "/" + repo + ":noise", r.PutManifest(ctx, repo, "noise", list.Descriptor.MediaType, list.Raw)
}

// archive writes the entries of a layer.
type archive func(*tar.Writer) error

// zip writes the layer as a gzip stream, and returns the digest of its content.
func (a archive) zip(to io.Writer) (digest.Digest, error) {
	content := digest.Canonical.Digester()
	packed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(io.MultiWriter(packed, content.Hash()))
	err = errors.Join(a(w), w.Close(), packed.Close())
	return content.Digest(), err
}

// putArchives puts an image with these layers, which are made twice: this program must take less memory than those
// that it measures, since the system counts what a process takes before it starts a program.
func putArchives(ctx context.Context, r *servers.Registry, repo, arch string, layers []archive) (images.Manifest, error) {
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}}
	var blobs []images.Blob
	for _, layer := range layers {
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip}
		digester := digest.Canonical.Digester()
		counter := &counter{}
		diffID, err := layer.zip(io.MultiWriter(digester.Hash(), counter))
		if err != nil {
			return images.Manifest{}, err
		}
		d.Digest, d.Size = digester.Digest(), counter.n
		out, in := io.Pipe()
		go func() {
			_, err := layer.zip(in)
			in.CloseWithError(err)
		}()
		if err := upload(ctx, r, repo, d, out); err != nil {
			return images.Manifest{}, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		blobs = append(blobs, images.Blob{Descriptor: d})
	}
	m := images.Layered(config, blobs...)
	return m, r.Put(ctx, repo, arch, m)
}

// counter counts the bytes that are written.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// verify compares the verifiers of an image.
func (l *lab) verify(ctx context.Context, what, name string) error {
	c := contest{title: "verification of " + what, warmUp: 1}
	for _, p := range verifiers {
		if l.installed(p) {
			made := l.shell(p.script, name, nil)
			made.name = p.name
			c.programs = append(c.programs, made)
		}
	}
	all, err := c.hold(ctx, 5)
	if err != nil {
		return err
	}
	c.print(all)
	if len(all) > 1 {
		r := ratio(all[0], all[1], wall)
		result(fmt.Sprintf("%s takes at most %.1f of the time of crane", c.title, maxVerifyRatio), r <= maxVerifyRatio, fmt.Sprintf("%.2f", r))
	}
	most := slices.MaxFunc(all[0], func(a, b usage) int { return int(a.peak - b.peak) }).peak
	result(fmt.Sprintf("%s takes at most %d MiB of memory", c.title, maxVerifyMemory>>20), most <= maxVerifyMemory, fmt.Sprintf("%.1f MiB at most", float64(most)/(1<<20)))
	return nil
}

// rootFileSystem writes the first files of this machine's /usr.
func rootFileSystem(w *tar.Writer) error {
	n := 0
	return filepath.WalkDir("/usr", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		switch {
		case err != nil || info.Size() > rootFileSize:
			return err
		case n == rootFiles:
			return fs.SkipAll
		}
		n++
		return addFile(w, file, info)
	})
}

// addFile adds a file to an archive: its content, its target if it is a link, otherwise only its name.
func addFile(w *tar.Writer, file string, info fs.FileInfo) error {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	if h.Name = file; !info.Mode().IsRegular() {
		return w.WriteHeader(h)
	}
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}
