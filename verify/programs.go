package verify

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// Programs are programs and shared libraries of an image.
type Programs struct {
	Foreign int            `json:"foreign"` // how many are for another architecture
	Counted int            `json:"counted"` // how many there are
	Paths   []string       `json:"paths"`   // the first ten that are foreign
	Layers  []ProgramLayer `json:"layers"`  // layers with foreign ones, those with the most first
}

// ProgramLayer is a layer with programs for another architecture.
type ProgramLayer struct {
	Digest    digest.Digest `json:"digest"`    // of the layer
	Foreign   int           `json:"foreign"`   // how many of its programs are for another architecture
	Platforms []string      `json:"platforms"` // other images below the name that have this layer, too
}

// maxShownPath bounds a path in the text of a finding.
const maxShownPath = 50

// programFindings returns the findings on the programs of an image: whether they are built for its platform, and
// whether those that it runs exist.
func programFindings(ctx context.Context, n manifest.Node, c imageConfig, results []layerResult) []Finding {
	if c.OS == "unknown" || c.Architecture == "unknown" {
		return nil // an attestation
	}
	layers := make([]*program.Layer, len(results))
	for i, r := range results {
		layers[i] = r.layer
	}
	volumes, _ := c.Config.Volumes.(map[string]any)
	p := programs{n, c, layers, map[string]bool{}, program.Command{
		OS: manifest.Normalize(c.Platform).OS, Args: append(append([]string{}, c.Config.Entrypoint...), c.Config.Cmd...),
		Escaped: c.Config.ArgsEscaped, Env: c.Config.Env, Dir: c.Config.WorkingDir, Volumes: slices.Collect(maps.Keys(volumes)),
	}}
	return append(p.ofCommand(ctx), p.ofFiles(ctx)...)
}

// programs are those of an image.
type programs struct {
	manifest.Node
	config  imageConfig
	layers  []*program.Layer
	foreign map[string]bool // the paths of those that the image runs although they are for another architecture
	command program.Command
}

func (p programs) finding(severity Severity, format string, args ...any) Finding {
	return finding(severity, p.Descriptor.Digest, format, args...)
}

// ofCommand returns the findings on the programs that the image runs.
func (p programs) ofCommand(ctx context.Context) []Finding {
	platform := manifest.Normalize(p.config.Platform)
	found, missing := program.Find(ctx, p.command, p.layers)
	var out []Finding
	for _, f := range found {
		if p.foreign[f.By] {
			continue // it needs another interpreter
		}
		switch f.Program.RunsOn(platform.OS, platform.Architecture) {
		case program.Incompatible:
			p.foreign[f.Path] = true
			one := p.finding(SeverityError, "%s is %s, but the image is for %s", f.Path, f.Program, manifest.FormatPlatform(p.config.Platform))
			one.Programs = p.describe(program.Tally{Counted: len(found), Foreign: 1, Paths: []string{f.Path}, Layers: map[int]int{f.Layer: 1}})
			out = append(out, one)
		case program.Undecided:
			if f.Program.Format != program.Script && f.Program.Format != "" {
				out = append(out, p.finding(SeverityInfo, "%s is %s, which cannot be compared with %s", f.Path, f.Program, manifest.FormatPlatform(p.config.Platform)))
			}
		case program.Compatible:
		}
	}
	for _, m := range missing {
		switch {
		case p.foreign[m.By]:
		case m.Absent:
			out = append(out, p.finding(SeverityError, "the image cannot run: %s", m.Reason))
		default:
			out = append(out, p.finding(SeverityInfo, "the program that the image runs could not be checked: %s", m.Reason))
		}
	}
	return out
}

// ofFiles returns the findings on all programs and shared libraries.
func (p programs) ofFiles(ctx context.Context) []Finding {
	counts, err := program.Count(ctx, p.command, manifest.Normalize(p.config.Platform).Architecture, p.layers)
	if err != nil {
		return []Finding{p.finding(SeverityUnknown, "the programs of image %s were not checked: %v", p.Descriptor.Digest, err)}
	}
	var out []Finding
	add := func(severity Severity, of string, t program.Tally) {
		if !slices.ContainsFunc(t.Paths, func(path string) bool { return !p.foreign[path] }) {
			return // none, or all have findings
		}
		f := p.finding(severity, "%d of %d programs and libraries%s are not for %s but for %s: %s", t.Foreign, t.Counted, of,
			manifest.FormatPlatform(p.config.Platform), strings.Join(t.Arches, ", "), shownPaths(t))
		f.Programs = p.describe(t)
		out = append(out, f)
	}
	if system := counts.System; !counts.Partial && 2*system.Foreign > system.Counted {
		add(SeverityError, " in the directories of PATH and of the loader", system)
		add(SeverityInfo, " in other directories", counts.Elsewhere)
	} else {
		system.Add(counts.Elsewhere)
		add(SeverityInfo, "", system)
	}
	return out
}

// shownPaths returns the paths of a tally as text.
func shownPaths(t program.Tally) string {
	var out []string
	for _, path := range t.Paths {
		out = append(out, manifest.OneLine(path, maxShownPath))
	}
	if t.Foreign > len(out) {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

func (p programs) describe(t program.Tally) *Programs {
	out := &Programs{Foreign: t.Foreign, Counted: t.Counted, Paths: []string{}, Layers: []ProgramLayer{}}
	for _, path := range t.Paths {
		out.Paths = append(out.Paths, manifest.Escape(path, ""))
	}
	for i, l := range p.Layers {
		if t.Layers[i] > 0 {
			out.Layers = append(out.Layers, ProgramLayer{Digest: l.Digest, Foreign: t.Layers[i], Platforms: []string{}})
		}
	}
	slices.SortStableFunc(out.Layers, func(a, b ProgramLayer) int { return cmp.Compare(b.Foreign, a.Foreign) })
	return out
}

// layerUsers are the images below a root by the layers that they have.
type layerUsers map[digest.Digest][]Manifest

func (u layerUsers) add(m Manifest, n manifest.Node) {
	if m.Kind != manifest.KindImage {
		return
	}
	for _, l := range n.Layers {
		if users := u[l.Digest]; len(users) == 0 || users[len(users)-1].Digest != m.Digest {
			u[l.Digest] = append(users, m)
		}
	}
}

// addPlatforms adds to a finding which other platforms have the layers of its programs.
func (u layerUsers) addPlatforms(f Finding) Finding {
	if f.Programs == nil {
		return f
	}
	p := *f.Programs // the result of the image may be that of several names
	p.Layers = slices.Clone(p.Layers)
	for i, l := range p.Layers {
		for _, user := range u[l.Digest] {
			if user.Digest != f.Manifest && !slices.Contains(l.Platforms, user.Platform) {
				l.Platforms = append(l.Platforms, user.Platform)
			}
		}
		p.Layers[i] = l
	}
	f.Programs = &p
	first := p.Layers[0]
	text := f.Message + "; "
	if first.Foreign < p.Foreign {
		text += fmt.Sprintf("%d of them ", first.Foreign)
	}
	text += "in layer " + first.Digest.String()
	if len(first.Platforms) > 0 {
		text += ", which is also a layer of " + strings.Join(first.Platforms, ", ")
	}
	f.Message = manifest.OneLine(text, maxMessage)
	return f
}
