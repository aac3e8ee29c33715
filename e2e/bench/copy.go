package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

// memoryLimit is the promised maximum for a copy, in bytes.
const memoryLimit = 64 << 20

// trusting are the copiers that leave it to the target to verify digests. Verifying each byte takes the others time.
var trusting = []string{"docker buildx imagetools", "oras"}

// copiers copy four images of four layers from one registry to another, under a list. Where concurrency can be set it
// has the best value.
var copiers = []peer{
	{"docker multiarch", "docker", createPush},
	{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" $sources`},
	{"crane index append", "crane", `crane index append --insecure $(printf -- '-m %s ' $sources) -t "$list"`},
	{"crane copy", "crane", `crane copy --jobs 16 --insecure "$from" "$list"`},
	{"regctl", "regctl", `regctl image copy "$from" "$list"`},
	{"oras", "oras", `oras cp --concurrency 16 --no-tty --from-plain-http --to-plain-http "$from" "$list"`},
	// Without these variables skopeo as root records for the whole machine, and the next run, which repository has a
	// blob.
	{"skopeo", "skopeo", `_CONTAINERS_ROOTLESS_UID=1 XDG_DATA_HOME=$(mktemp -d -p "$HOME") skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false "docker://$from" "docker://$list"`},
}

// distance is the delay to the registries of a copy, and the number of runs with it.
type distance struct {
	delay        time.Duration
	warmUp, runs int
}

// copies measures the transfer of layers between registries.
func copies(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	from := l.registries[1]
	var sources []string
	for _, arch := range benchPlatforms[:4] {
		if err := putNoise(ctx, from, "big", arch, 4, 8<<20); err != nil {
			return err
		}
		sources = append(sources, from.Host+"/big:"+arch)
	}
	if _, err := l.shell(createPush, from.Host+"/big:all", sources).run(ctx, 0); err != nil {
		return err
	}
	for _, d := range []distance{{0, 1, 7}, {50 * time.Millisecond, 0, 3}} {
		if err := l.copyAt(ctx, d); err != nil {
			return err
		}
	}
	return l.copyLarge(ctx, o.layer)
}

// copyAt compares the copiers at a distance.
func (l *lab) copyAt(ctx context.Context, d distance) error {
	to, from, err := l.hosts(ctx, d.delay)
	if err != nil {
		return err
	}
	c := contest{title: fmt.Sprintf("copy of 4 platforms x 4 layers x 8 MiB at %v", d.delay), warmUp: d.warmUp}
	var repos []string
	for _, p := range copiers {
		if l.installed(p) {
			repo := fmt.Sprintf("%s-%d-", strings.ReplaceAll(p.name, " ", "-"), d.delay.Milliseconds())
			repos = append(repos, repo)
			c.programs = append(c.programs, l.copier(p, to+"/"+repo, from))
		}
	}
	all, err := c.hold(ctx, d.runs)
	if err != nil {
		return err
	}
	for i := range d.warmUp + d.runs {
		for _, repo := range repos {
			if err := l.checkCopy(ctx, fmt.Sprint(repo, i)); err != nil {
				return err
			}
		}
	}
	c.print(all)
	c.judge(all)
	return nil
}

// hosts returns the addresses of the target and the source: without a delay those of the registries themselves.
func (l *lab) hosts(ctx context.Context, delay time.Duration) (to, from string, err error) {
	to, from = l.registries[0].Host, l.registries[1].Host
	if delay == 0 {
		return to, from, errors.Join(l.trust(ctx, to), l.trust(ctx, from))
	}
	lines, err := l.lines(ctx, delay, nil)
	if err != nil {
		return "", "", err
	}
	return lines[0].Host, lines[1].Host, nil
}

// copier returns a program that copies to another repository in each run: its name ends in the number of the run.
func (l *lab) copier(p peer, to, from string) program {
	var sources []string
	for _, arch := range benchPlatforms[:4] {
		sources = append(sources, from+"/big:"+arch)
	}
	made := l.shell(`list="$list$run:1" && `+p.script, to, sources, "from="+from+"/big:all")
	made.name = p.name
	return made
}

// checkCopy checks that a repository has the list of the copied images. The registry accepts a manifest only if it
// has all referenced content.
func (l *lab) checkCopy(ctx context.Context, repo string) error {
	want, err := children(ctx, l.registries[1], "big", "all")
	if err != nil {
		return err
	}
	got, err := children(ctx, l.registries[0], repo, "1")
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("%s: got images %v, want %v", repo, got, want)
	}
	return err
}

// children returns the digests in a list, sorted.
func children(ctx context.Context, r *servers.Registry, repo, tag string) ([]digest.Digest, error) {
	m, err := r.Get(ctx, repo, tag)
	if err != nil {
		return nil, err
	}
	var list struct {
		Manifests []struct{ Digest digest.Digest }
	}
	if err := json.Unmarshal(m.Raw, &list); err != nil {
		return nil, err
	}
	var out []digest.Digest
	for _, child := range list.Manifests {
		out = append(out, child.Digest)
	}
	slices.Sort(out)
	return out, nil
}

// judge prints whether ours is the fastest, and how much memory it took.
func (c contest) judge(all []series) {
	var checking, others []int
	for i := range c.programs[1:] {
		others = append(others, i+1)
		if !slices.Contains(trusting, c.programs[i+1].name) {
			checking = append(checking, i+1)
		}
	}
	c.judgeBeside(all, "every peer's", others)
	c.judgeBeside(all, "that of every peer that checks the digests itself", checking)
	judgeMemory(c.title, all[0])
}

func (c contest) judgeBeside(all []series, whose string, programs []int) {
	fastest := true
	var ratios []string
	for _, i := range programs {
		r := ratio(all[0], all[i], wall)
		fastest = fastest && r < 1
		ratios = append(ratios, fmt.Sprintf("%.2f of the time of %s", r, c.programs[i].name))
	}
	result(c.title+" is faster than "+whose, fastest, strings.Join(ratios, ", "))
}

func judgeMemory(title string, s series) {
	most := slices.MaxFunc(s, func(a, b usage) int { return int(a.peak - b.peak) }).peak
	result(fmt.Sprintf("%s takes less than %d MiB of memory", title, memoryLimit>>20),
		most < memoryLimit, fmt.Sprintf("%.1f MiB at most", float64(most)/(1<<20)))
}

// copyLarge copies an image with one layer of size MiB.
func (l *lab) copyLarge(ctx context.Context, size int) error {
	if size == 0 {
		return nil
	}
	from, to := l.registries[1], l.registries[0]
	if err := putNoise(ctx, from, "large", "amd64", 1, int64(size)<<20); err != nil {
		return err
	}
	u, err := l.shell(createPush, to.Host+"/large:1", []string{from.Host + "/large:amd64"}).run(ctx, 0)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("copy of one layer of %d MiB", size)
	fmt.Printf("\n%s: %.1f s\n", title, u.wall.Seconds())
	judgeMemory(title, series{u})
	return nil
}
