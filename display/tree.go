package display

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/inspect"
)

// Tree writes a list as a tree, the attestations under their image.
func Tree(out io.Writer, v inspect.View) error {
	var b strings.Builder
	b.WriteString(manifest.Escape(v.Name, ""))
	if v.Digest != "" {
		b.WriteString("  " + v.Digest.String())
	}
	if v.ImageSize > 0 {
		b.WriteString("  " + units.HumanSize(float64(v.ImageSize)))
	}
	b.WriteString("\n" + manifest.Escape(v.MediaType, "") + "\n")
	branches(&b, "", v.Annotations, v.Manifests)
	_, err := io.WriteString(out, b.String())
	return err
}

func branches(b *strings.Builder, indent string, annotations map[string]string, entries []inspect.ViewEntry) {
	left := len(annotations) + len(entries)
	branch := func() (string, string) {
		if left--; left == 0 {
			return indent + "└── ", indent + "    "
		}
		return indent + "├── ", indent + "│   "
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		line, _ := branch()
		b.WriteString(line + manifest.Escape(key+"="+annotations[key], "") + "\n")
	}
	for _, e := range entries {
		line, below := branch()
		b.WriteString(line + manifest.Escape(describe(e), "") + "\n")
		branches(b, below, e.Annotations, e.Attestations)
	}
}

func describe(e inspect.ViewEntry) string {
	words := []string{e.Platform}
	if len(e.OSFeatures) > 0 {
		words[0] += " [" + strings.Join(e.OSFeatures, ",") + "]"
	}
	switch {
	case e.ArtifactType != "":
		words[0] = strings.TrimSpace("artifact " + e.ArtifactType + " " + words[0])
	case e.Platform == "":
		words[0] = "attestation"
	}
	if e.Pending {
		words = append(words, "pending")
	} else {
		words = append(words, e.Digest.String())
	}
	if e.ImageSize > 0 {
		words = append(words, units.HumanSize(float64(e.ImageSize)))
	}
	if e.Source != "" && words[0] != "attestation" {
		words = append(words, e.Source)
	}
	return strings.Join(words, "  ")
}
