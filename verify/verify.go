// Package verify checks that what a registry has under a name is complete, and that it is what it claims to be.
//
// [Check] walks from each name through indexes and manifests to configs and layers, and returns a [Result] with the
// manifests it met and a [Finding] for each problem: content that is missing or has another size or digest, and platforms
// that differ between an index and the config of an image. By default a layer is only looked up. A deep check reads and
// unpacks it, and finds out with package [github.com/docker-multiarch/docker-multiarch/verify/program] whether the programs
// of an image are built for its platform, and whether those that it runs exist. [Exists] answers a smaller question with
// fewer requests: whether a registry has a name, with images for certain platforms.
//
// Manifests are read through one [manifest.Graph] per repository, and each config and layer is read once, however
// many names lead to it. The package writes nothing. Logins, retries and limits on concurrent requests belong to
// the registry client, output to package display.
package verify

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-multiarch/docker-multiarch/internal/memo"
	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

// Reader is what Check reads from.
type Reader interface {
	manifest.Fetcher
	manifest.Blobs
}

// State is the result of a check.
type State string

// The states, from good to bad.
const (
	StateOK State = "ok"
	// StateUnknown says that something could not be checked, and that no other error was found.
	StateUnknown State = "unknown"
	StateInvalid State = "invalid"
)

var states = []State{StateOK, StateUnknown, StateInvalid}

func worse(a, b State) State {
	if slices.Index(states, b) > slices.Index(states, a) {
		return b
	}
	return a
}

// Severity is the severity of a finding.
type Severity string

// The severities. SeverityInfo does not affect the state.
const (
	SeverityInfo    Severity = "info"
	SeverityUnknown Severity = "unknown"
	SeverityError   Severity = "error"
)

// stateOf has the state that a finding leads to.
var stateOf = map[Severity]State{SeverityInfo: StateOK, SeverityUnknown: StateUnknown, SeverityError: StateInvalid}

// Result is the result of checking a name.
type Result struct {
	Name      string        `json:"name"`             // the reference
	Digest    digest.Digest `json:"digest,omitempty"` // what the name resolved to; absent if it could not be resolved
	State     State         `json:"state"`            // the worst of all
	Manifests []Manifest    `json:"manifests"`        // what was checked
	Findings  []Finding     `json:"findings"`         // none if all is fine
}

// Manifest is a manifest or index that a name leads to.
type Manifest struct {
	Kind      string        `json:"kind"`                // image, index, attestation or artifact
	Platform  string        `json:"platform,omitempty"`  // as in linux/arm/v7
	MediaType string        `json:"mediaType,omitempty"` // of the manifest
	Digest    digest.Digest `json:"digest"`              // of the manifest
	Size      int64         `json:"size,omitempty"`      // of the manifest itself, in bytes
	State     State         `json:"state"`               // of the manifest with its config and layers
}

// Absent returns the error that the registry does not have the name, nil if that is not the result.
func (r Result) Absent() error {
	if r.Digest == "" && len(r.Findings) == 1 && errdefs.IsNotFound(r.Findings[0].Err) {
		return r.Findings[0].Err
	}
	return nil
}

// Finding is an error, something that could not be checked, or information.
type Finding struct {
	Severity Severity      `json:"severity"`           // info does not affect the state
	Digest   digest.Digest `json:"digest,omitempty"`   // of the object: a manifest, config or layer
	Manifest digest.Digest `json:"manifest,omitempty"` // the manifest that the object belongs to
	Platform string        `json:"platform,omitempty"` // of the manifest, from its index or else from its config
	Message  string        `json:"message"`            // for people
	Programs *Programs     `json:"programs,omitempty"` // those that the finding is about
	// Err is the registry's error that prevented the check or says that the name is absent, if that is the reason.
	Err error `json:"-"`
}

// maxMessage bounds the text of a finding, which may contain text from the registry.
const maxMessage = 1000

func finding(severity Severity, d digest.Digest, format string, args ...any) Finding {
	return Finding{Severity: severity, Digest: d, Message: manifest.OneLine(fmt.Sprintf(format, args...), maxMessage)}
}

// readFinding is the finding that an object, such as "layer sha256:...", could not be read.
func readFinding(d digest.Digest, object string, repo reference.Named, err error) Finding {
	switch {
	case errdefs.IsNotFound(err):
		return finding(SeverityError, d, "%s is not in the repository %s", object, reference.FamiliarName(repo))
	case errdefs.IsDataLoss(err):
		return finding(SeverityError, d, "%s does not match its descriptor: %v", object, err)
	}
	f := finding(SeverityUnknown, d, "%s could not be read: %v", object, err)
	f.Err = err
	return f
}

const (
	// maxImages and maxLayers bound what is unpacked concurrently, and with it the memory.
	maxImages = 2
	maxLayers = 3
	// maxFiles bounds the files of the layers that are in memory, which take about 100 bytes each.
	maxFiles = 1 << 19
	// maxContent bounds the content of a layer: a few compressed bytes can expand to any size. Only a sixteenth is read
	// of one that expands by more than maxRatio, which is beyond what gzip can.
	maxContent = 64 << 30
	maxRatio   = 1100
)

// verifier is one run of Check. It checks what several names lead to once.
type verifier struct {
	from    Reader
	options Options
	graphs  map[string]*manifest.Graph // by repository
	sizes   memo.Memo[contentKey, int64]
	layers  *layers
	images  map[contentKey]*imageResult
}

// Check checks the manifests, configs and layers that names lead to: that they exist with the size and digest that
// their descriptors state, and that indexes state the platforms that the configs of images have. Layers are read
// only if o.Deep; then the programs of images are checked, too. There is a result for each name, in this order,
// and one more for o.Together; the error is that of ctx.
func Check(ctx context.Context, from Reader, names []reference.Named, o Options) ([]Result, error) {
	v := &verifier{
		from: from, options: o, graphs: map[string]*manifest.Graph{}, sizes: memo.Memo[contentKey, int64]{KeepErrors: true},
		layers: newLayers(maxLayers, program.NewBudget(maxFiles), maxContent), images: map[contentKey]*imageResult{},
	}
	roots := v.read(ctx, names)
	v.checkImages(ctx, names, roots)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]Result, len(names))
	all := make([]available, len(names))
	for i, name := range names {
		all[i] = v.available(name, roots[i])
		out[i] = v.report(name, roots[i], all[i])
	}
	if o.Together != "" {
		out = append(out, o.together(all))
	}
	return out, nil
}

func (v *verifier) read(ctx context.Context, names []reference.Named) []manifest.Root {
	byRepository := map[string][]int{}
	for i, name := range names {
		byRepository[name.Name()] = append(byRepository[name.Name()], i)
		v.graphs[name.Name()] = manifest.NewGraph(v.from)
	}
	roots := make([]manifest.Root, len(names))
	var group sync.WaitGroup
	for repo, indexes := range byRepository {
		group.Go(func() {
			refs := make([]reference.Named, len(indexes))
			for i, index := range indexes {
				refs[i] = names[index]
			}
			found, _ := v.graphs[repo].Read(ctx, refs...) // Check returns the error of ctx
			for i, index := range indexes {
				root := found[i]
				if _, err := v.graphs[repo].Node(root.Digest); root.Err == nil && err != nil && !manifest.IsMalformed(err) {
					root = manifest.Root{Ref: root.Ref, Err: err}
				}
				roots[index] = root
			}
		})
	}
	group.Wait()
	return roots
}

func (v *verifier) checkImages(ctx context.Context, names []reference.Named, roots []manifest.Root) {
	var group errgroup.Group
	if v.options.Deep {
		group.SetLimit(maxImages)
	}
	var jobs []func() error
	for i, name := range names {
		for _, d := range v.graphs[name.Name()].Below(roots[i].Digest) {
			n, err := v.graphs[name.Name()].Node(d)
			key := contentKey{name.Name(), d}
			if err != nil || manifest.IsIndex(n.Descriptor.MediaType) || v.images[key] != nil {
				continue
			}
			result := &imageResult{}
			v.images[key] = result
			for _, layer := range n.Layers {
				v.layers.users[keyOfLayer(name, n, layer)]++
				if v.options.Deep && v.options.Progress != nil && !manifest.IsForeign(layer.MediaType) {
					v.options.Progress.Blob(manifest.Transfer{Blob: layer, State: manifest.Waiting})
				}
			}
			jobs = append(jobs, func() error {
				*result = v.image(ctx, name, n)
				return nil
			})
		}
	}
	for _, job := range jobs { // all users of layers are counted by now
		group.Go(job)
	}
	_ = group.Wait() // the findings have the errors
}

// report collects the manifests and findings below a root, whose images are a.
func (v *verifier) report(name reference.Named, root manifest.Root, a available) Result {
	r := newReport(manifest.Familiar(name), root.Digest)
	if root.Err != nil {
		f := readFinding("", manifest.Familiar(name), name, root.Err)
		if errdefs.IsNotFound(root.Err) {
			f = finding(SeverityError, "", "%v", root.Err)
			f.Err = root.Err
		}
		r.add(f)
		return r.Result
	}
	g := v.graphs[name.Name()]
	listed, users := indexEntries(g, root.Digest), layerUsers{}
	for _, d := range g.Below(root.Digest) {
		row := v.manifest(name, d, listed)
		r.Manifests = append(r.Manifests, row)
		if n, err := g.Node(d); err == nil {
			users.add(row, n)
		}
	}
	for _, row := range r.Manifests {
		n, err := g.Node(row.Digest)
		for _, f := range v.findings(name, n, err, listed[row.Digest]) {
			f.Manifest, f.Platform = row.Digest, row.Platform
			r.add(users.addPlatforms(f))
		}
	}
	r.add(v.indexFindings(name, root.Digest, listed)...)
	if !v.options.Deep {
		r.add(v.sharedFindings(name, r.Manifests)...)
	}
	if v.options.Together == "" {
		r.add(v.options.findings(a)...)
	}
	for i, row := range r.Manifests {
		r.Manifests[i].State = worse(row.State, r.states[row.Digest])
	}
	return r.Result
}

// report is a result that is being collected.
type report struct {
	Result
	known  map[Finding]bool
	states map[digest.Digest]State // of manifests
}

func newReport(name string, d digest.Digest) report {
	return report{Result: Result{
		Name: name, Digest: d, State: StateOK, Manifests: []Manifest{}, Findings: []Finding{},
	}, known: map[Finding]bool{}, states: map[digest.Digest]State{}}
}

// add adds the findings that are not known.
func (r *report) add(found ...Finding) {
	for _, f := range found {
		key := f
		key.Err, key.Programs = nil, nil // the former may not be comparable
		if r.known[key] {
			continue
		}
		r.known[key] = true
		r.Findings = append(r.Findings, f)
		r.State = worse(r.State, stateOf[f.Severity])
		r.states[f.Manifest] = worse(r.states[f.Manifest], stateOf[f.Severity])
	}
}

// findings returns the findings on the manifest n itself, or on the error with which it was read; listed is the
// entry of the index that led to it.
func (v *verifier) findings(name reference.Named, n manifest.Node, err error, listed indexEntry) []Finding {
	d := listed.descriptor
	switch {
	case err == nil && !manifest.IsIndex(n.Descriptor.MediaType):
		return v.images[contentKey{name.Name(), n.Descriptor.Digest}].findings
	case err == nil:
		return nil
	case !manifest.IsMalformed(err):
	case d.MediaType != "" && !manifest.IsIndex(d.MediaType) && !manifest.IsImage(d.MediaType):
		return []Finding{finding(SeverityInfo, d.Digest, "%s, listed in index %s, is not an image: %v", d.Digest, listed.index, err)}
	default:
		return []Finding{finding(SeverityError, d.Digest, "%v", err)}
	}
	return []Finding{readFinding(d.Digest, fmt.Sprintf("manifest %s, listed in index %s,", d.Digest, listed.index), name, err)}
}

// manifest returns the manifest d with its platform: that of the index, or else that of the config.
func (v *verifier) manifest(name reference.Named, d digest.Digest, listed map[digest.Digest]indexEntry) Manifest {
	desc := listed[d].descriptor
	m := Manifest{Kind: manifest.KindImage, Digest: d, MediaType: desc.MediaType, Size: desc.Size, State: StateOK}
	if manifest.IsIndex(desc.MediaType) {
		m.Kind = manifest.KindIndex
	}
	if n, err := v.graphs[name.Name()].Node(d); err == nil {
		m.Kind, m.MediaType, m.Size = n.Kind(), n.Descriptor.MediaType, n.Descriptor.Size
	}
	switch platform := v.platform(name, desc); {
	case manifest.IsIndex(m.MediaType):
	case manifest.IsAttestation(desc):
		m.Kind = manifest.KindAttestation
	case platform != nil:
		m.Platform = manifest.OneLine(manifest.FormatPlatform(*platform), maxMessage)
	}
	return m
}

// platform returns the platform that an index states for d, or else that of the config; nil if neither is known.
func (v *verifier) platform(name reference.Named, d ocispec.Descriptor) *ocispec.Platform {
	platform := entryPlatform(d)
	if image := v.images[contentKey{name.Name(), d.Digest}]; platform == nil && image != nil {
		platform = image.platform
	}
	return platform
}
