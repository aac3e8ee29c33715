package verify

import (
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options are what else is checked.
type Options struct {
	// Deep reads and unpacks the layers, and checks the programs that images run.
	Deep bool
	// Require are the platforms that an image must exist for; Exact, unless empty, are the only ones.
	Require, Exact []manifest.Platform
	// Together, unless "", adds a result of this name for the platforms of all names together.
	Together string
	// Progress receives, before the first layer is read, those that a deep check is going to read; nil for nobody. A foreign
	// layer may not be in the registry and is not among them.
	Progress manifest.Progress
}

// available are the images that a name leads to.
type available struct {
	images []availableImage
	// incomplete reports that there may be more: something could not be read.
	incomplete bool
}

// availableImage is an image that clients can choose by key.
type availableImage struct {
	platform ocispec.Platform
	digest   digest.Digest
	key      string
}

// available returns the images that name leads to.
func (v *verifier) available(name reference.Named, root manifest.Root) (out available) {
	if root.Err != nil {
		return available{incomplete: !errdefs.IsNotFound(root.Err)}
	}
	g := v.graphs[name.Name()]
	add := func(d ocispec.Descriptor) {
		n, err := g.Node(d.Digest)
		unread := err != nil && !errdefs.IsNotFound(err)
		switch platform := v.platform(name, d); {
		case manifest.IsIndex(d.MediaType) || err == nil && n.Kind() != manifest.KindImage:
			out.incomplete = out.incomplete || unread
		case manifest.IsAttestation(d) || !(manifest.Entry{Descriptor: d}).IsImage():
		case platform == nil:
			out.incomplete = out.incomplete || unread || err == nil
		default:
			out.images = append(out.images, availableImage{*platform, d.Digest, manifest.ImageKey(*platform, d, n.Layers)})
		}
	}
	add(ocispec.Descriptor{Digest: root.Digest})
	for _, d := range g.Entries(root.Digest) {
		add(d)
	}
	return out
}

// findings returns the findings on the platforms of a, which the options require or do not allow.
func (o Options) findings(a available) (out []Finding) {
	var existing []ocispec.Platform
	for _, i := range a.images {
		existing = append(existing, i.platform)
		if len(o.Exact) > 0 && !slices.ContainsFunc(o.Exact, func(p manifest.Platform) bool { return p.Matches(i.platform) }) {
			f := finding(SeverityError, i.digest, "image %s is for %s, which --exact does not allow", i.digest, manifest.FormatPlatform(i.platform))
			f.Manifest, f.Platform = i.digest, manifest.FormatPlatform(i.platform)
			out = append(out, f)
		}
	}
	missing := SeverityError
	if a.incomplete {
		missing = SeverityUnknown
	}
	for _, flag := range []struct {
		name   string
		wanted []manifest.Platform
	}{{"require", o.Require}, {"exact", o.Exact}} {
		for _, w := range flag.wanted {
			if slices.ContainsFunc(existing, w.Matches) {
				continue
			}
			message := []string{"there is no image for " + w.String() + ", which --" + flag.name + " requires"}
			if others := manifest.OtherVariants([]manifest.Platform{w}, existing); others != "" {
				message = append(message, others)
			}
			f := finding(missing, "", "%s", strings.Join(message, "; "))
			f.Platform = w.String()
			out = append(out, f)
		}
	}
	return out
}

// together returns the result for the platforms of all names together, of which each platform has one image.
func (o Options) together(all []available) Result {
	var sum available
	seen := map[string]digest.Digest{}
	r := newReport(o.Together, "")
	for _, a := range all {
		sum.incomplete = sum.incomplete || a.incomplete
		for _, i := range a.images {
			if first, twice := seen[i.key]; twice && first != i.digest {
				f := finding(SeverityError, i.digest, "image %s is for %s, and so is %s", i.digest, manifest.FormatPlatform(i.platform), first)
				f.Manifest, f.Platform = i.digest, manifest.FormatPlatform(i.platform)
				r.add(f)
			}
			seen[i.key] = i.digest
			sum.images = append(sum.images, i)
		}
	}
	r.add(o.findings(sum)...)
	return r.Result
}
