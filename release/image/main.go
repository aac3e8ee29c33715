// Command image writes the docker archives of the release's own image, one for each binary for Linux:
//
//	image VERSION OWNER DIST OUT
//
// The image for linux/ARCH has DIST/docker-multiarch-linux-ARCH as /docker-multiarch and nothing else; its archive is
// OUT/linux-ARCH.tar. The time in it is SOURCE_DATE_EPOCH: the same binaries give the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "crypto/sha256" // for digests
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const plugin = "docker-multiarch"

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: image VERSION OWNER DIST OUT")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func run(version, owner, dist, out string) error {
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	prefix := filepath.Join(dist, plugin+"-linux-")
	binaries, err := filepath.Glob(prefix + "*")
	if err != nil {
		return err
	}
	for _, binary := range binaries {
		arch := strings.TrimPrefix(binary, prefix)
		if strings.Contains(arch, ".") { // an SBOM
			continue
		}
		archive, err := archiveOf(binary, arch, version, owner, time.Unix(epoch, 0).UTC())
		if err == nil {
			err = os.WriteFile(filepath.Join(out, "linux-"+arch+".tar"), archive, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// member is a file of a tar.
type member struct {
	name    string
	content []byte
}

// archiveOf returns what docker save would write of the image with a binary.
func archiveOf(binary, arch, version, owner string, created time.Time) ([]byte, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarOf(0o755, created, member{plugin, content})
	if err != nil {
		return nil, err
	}
	url := "https://github.com/" + owner + "/" + plugin
	image := ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: arch},
		Config: ocispec.ImageConfig{
			Labels: map[string]string{
				ocispec.AnnotationTitle: plugin, ocispec.AnnotationVersion: version, ocispec.AnnotationURL: url, ocispec.AnnotationSource: url,
			},
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	}
	if arch == "arm" {
		image.Variant = "v7" // see GOARM in the Makefile
	}
	config, err := json.Marshal(image)
	if err != nil {
		return nil, err
	}
	images, err := json.Marshal([]any{map[string]any{"Config": "config.json", "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // a level that exists
	_, err = z.Write(layer)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, err
	}
	return tarOf(0o644, created, member{"manifest.json", images}, member{"config.json", config}, member{"layer.tar", packed.Bytes()})
}

func tarOf(mode int64, modified time.Time, members ...member) ([]byte, error) {
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, m := range members {
		if err := t.WriteHeader(&tar.Header{Name: m.name, Mode: mode, Size: int64(len(m.content)), ModTime: modified}); err != nil {
			return nil, err
		}
		if _, err := t.Write(m.content); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return out.Bytes(), err
}
