package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// maxLayoutRatio is the promised time for a layout, in times of that of the fastest peer.
const maxLayoutRatio = 1.1

// layoutWriters write the list $from, of four images of four layers, to files: into a folder $to, and as $to.tar. No program
// waits for the disk.
var layoutWriters = map[string][]peer{
	"a folder": {
		{"docker multiarch import", "docker", `docker multiarch import "$from" "oci-layout://$to:1"`},
		{"crane pull", "crane", `crane pull --insecure --format=oci "$from" "$to"`},
		{"regctl image copy", "regctl", `regctl image copy "$from" "ocidir://$to:1"`},
		{"oras cp", "oras", `oras cp --concurrency 16 --no-tty --from-plain-http --to-oci-layout "$from" "$to:1"`},
		{"skopeo copy", "skopeo", `skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$from" "oci:$to:1"`},
	},
	"a tar": {
		{"docker multiarch import", "docker", `docker multiarch import "$from" "oci-layout://$to.tar:1"`},
		{"regctl image export", "regctl", `regctl image export "$from" "$to.tar"`},
		{"oras backup", "oras", `oras backup --concurrency 16 --no-tty --plain-http --output "$to.tar" "$from"`},
		{"skopeo copy", "skopeo", `skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$from" "oci-archive:$to.tar:1"`},
	},
}

// layouts measures the transfer of images from a registry to files and back.
func layouts(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := l.registries[0]
	if err := l.trust(ctx, r.Host); err != nil {
		return err
	}
	list, err := putNoiseList(ctx, r, "layouts")
	if err != nil {
		return err
	}
	for _, kind := range []string{"a folder", "a tar"} {
		if err := l.writeLayout(ctx, kind, list); err != nil {
			return err
		}
	}
	return l.largeLayout(ctx, o.layer)
}

// writeLayout compares the writers of one kind.
func (l *lab) writeLayout(ctx context.Context, kind, list string) error {
	c := contest{title: "4 platforms x 4 layers x 8 MiB to " + kind, warmUp: 1}
	to := filepath.Join(l.home, "written")
	for _, p := range layoutWriters[kind] {
		if l.installed(p) {
			made := l.shell(p.script, list, nil, "from="+list, "to="+to)
			made.name, made.remove = p.name, []string{to, to + ".tar"}
			c.programs = append(c.programs, made)
		}
	}
	all, err := c.hold(ctx, 7)
	if err != nil {
		return err
	}
	c.print(all)
	var ratios []string
	kept := true
	for i := range c.programs[1:] {
		r := ratio(all[0], all[i+1], wall)
		kept = kept && r <= maxLayoutRatio
		ratios = append(ratios, fmt.Sprintf("%.2f of the time of %s", r, c.programs[i+1].name))
	}
	result(fmt.Sprintf("%s takes at most %.1f of the time of every peer", c.title, maxLayoutRatio), kept, strings.Join(ratios, ", "))
	judgeMemory(c.title, all[0])
	return nil
}

// largeLayout takes an image with one layer of size MiB from a registry to files, and from there to another registry.
func (l *lab) largeLayout(ctx context.Context, size int) error {
	if size == 0 {
		return nil
	}
	from, to := l.registries[0], l.registries[1]
	if err := putNoise(ctx, from, "large", "amd64", 1, int64(size)<<20); err != nil {
		return err
	}
	folder := filepath.Join(l.home, "large")
	for _, layout := range []string{"oci-layout://" + folder, "oci-layout://" + folder + ".tar"} {
		for i, step := range [][2]string{{from.Host + "/large:amd64", layout + ":1"}, {layout + ":1", fmt.Sprint(to.Host, "/large", len(layout), ":1")}} {
			u, err := l.shell(`docker multiarch import "$from" "$to"`, "", nil, "from="+step[0], "to="+step[1]).run(ctx, 0)
			if err != nil {
				return err
			}
			title := fmt.Sprintf("import of a layer of %d MiB %s %s", size, []string{"into", "out of"}[i], filepath.Base(layout))
			fmt.Printf("\n%s: %.1f s\n", title, u.wall.Seconds())
			judgeMemory(title, series{u})
		}
	}
	return nil
}
