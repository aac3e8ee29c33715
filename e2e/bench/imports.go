package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// importers copy a list with all its content, bytes and digests unchanged.
var importers = []peer{
	{"docker multiarch import", "docker", `docker multiarch import --progress quiet "$from" "$list"`},
	{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" "$from"`},
	{"crane copy", "crane", `crane copy --jobs 16 --insecure "$from" "$list"`},
	{"regctl", "regctl", `regctl image copy "$from" "$list"`},
	{"oras", "oras", `oras cp --concurrency 16 --no-tty --from-plain-http --to-plain-http "$from" "$list"`},
	// Without these variables skopeo as root records for the whole machine, and the next run, which repository has a
	// blob.
	{"skopeo", "skopeo", `_CONTAINERS_ROOTLESS_UID=1 XDG_DATA_HOME=$(mktemp -d -p "$HOME") skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false "docker://$from" "docker://$list"`},
}

// fullTarget is the promised maximum of requests for an import into a target that has all content: the tags, and each child.
const fullTarget = 3 + 8

// imports measures the copy of a list with attestations, and the same copy again.
func imports(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := seedFull(ctx, l.registries[1]); err != nil {
		return err
	}
	if err := l.countImports(ctx); err != nil {
		return err
	}
	for _, d := range []distance{{0, 1, 7}, {50 * time.Millisecond, 0, 3}} {
		if err := l.importAt(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// seedFull puts a list of four images of four layers of 8 MiB and their attestations.
func seedFull(ctx context.Context, r *servers.Registry) error {
	var children []images.Manifest
	for _, arch := range benchPlatforms[:4] {
		if err := putNoise(ctx, r, "full", arch, 4, 8<<20); err != nil {
			return err
		}
		m, err := r.Get(ctx, "full", arch)
		if err != nil {
			return err
		}
		image := images.Manifest{Raw: m.Raw, Descriptor: ocispec.Descriptor{
			MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Raw)), Platform: &ocispec.Platform{OS: "linux", Architecture: arch},
		}}
		attestation := images.Attestation(image)
		if err := r.Put(ctx, "full", attestation.Digest().String(), attestation); err != nil {
			return err
		}
		children = append(children, image, attestation)
	}
	list := images.Index(images.OCI, children...)
	return r.PutManifest(ctx, "full", "all", list.Descriptor.MediaType, list.Raw)
}

// countImports prints the requests of each program, for an empty target and for one with all content.
func (l *lab) countImports(ctx context.Context) error {
	lines, err := l.lines(ctx, 0, nil)
	if err != nil {
		return err
	}
	fmt.Printf("\nimport of 4 platforms x 4 layers x 8 MiB with attestations: requests, and again when the target has all content\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\trequests\tconnections\trequests\tconnections")
	ours := 0
	for _, p := range importers {
		if !l.installed(p) {
			continue
		}
		var counts [2]proxy.Traffic
		for again := range counts {
			for _, line := range lines {
				line.Take()
			}
			if _, err := l.importer(p, lines[0].Host, lines[1].Host, "count").run(ctx, 0); err != nil {
				return err
			}
			counts[again] = lines[0].Take().Plus(lines[1].Take())
		}
		if ours == 0 {
			ours = len(counts[1].Requests)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", p.name, len(counts[0].Requests), counts[0].Connections, len(counts[1].Requests), counts[1].Connections)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	result(fmt.Sprintf("import to a full target takes at most %d requests", fullTarget), ours <= fullTarget, fmt.Sprint(ours))
	return nil
}

// importer returns a program that imports into another repository in each run.
func (l *lab) importer(p peer, to, from, what string) program {
	list := fmt.Sprintf("%s/%s-%s-", to, strings.ReplaceAll(p.name, " ", "-"), what)
	made := l.shell(`list="$list$run:1" && `+p.script, list, nil, "from="+from+"/full:all")
	made.name = p.name
	return made
}

// importAt compares the importers at a distance, with an empty target and with one that has all content.
func (l *lab) importAt(ctx context.Context, d distance) error {
	to, from, err := l.hosts(ctx, d.delay)
	if err != nil {
		return err
	}
	c := contest{title: fmt.Sprintf("import of 4 platforms x 4 layers x 8 MiB with attestations at %v", d.delay), warmUp: d.warmUp}
	for _, p := range importers {
		if l.installed(p) {
			c.programs = append(c.programs, l.importer(p, to, from, fmt.Sprint(d.delay.Milliseconds())))
		}
	}
	first, err := c.hold(ctx, d.runs)
	if err != nil {
		return err
	}
	c.print(first)
	c.judge(first)
	c.title += ", once more"
	again, err := c.hold(ctx, d.runs) // into the same repositories
	if err != nil {
		return err
	}
	c.print(again)
	c.judge(again)
	return nil
}
