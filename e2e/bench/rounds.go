package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

const (
	// farAway is the round trip time at which rounds are counted: the start of a process is a fraction.
	farAway = 200 * time.Millisecond
	// roundsRuns is how often each operation is measured.
	roundsRuns = 3
)

// operation is a row of the table of limits.
type operation struct {
	title    string
	requests int
	rounds   float64
	from     int // the registry the images are in; the list goes to the first one
	repo     string
	images   int
	login    bool
	again    bool // the list is the one that was there before
	script   string
	peers    []peer
}

const createPush = `docker multiarch create --push "$list" $sources`

var (
	dockerManifest = peer{"docker manifest", "docker", `docker manifest create --insecure "$list" $sources && docker manifest push --insecure -p "$list"`}
	imagetools     = peer{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" $sources`}
	crane          = peer{"crane", "crane", `crane index append --insecure $(printf -- '-m %s ' $sources) -t "$list"`}
	regctl         = peer{"regctl", "regctl", `regctl registry set --tls disabled "$host" && regctl index create "$list" $(printf -- '--ref %s ' $sources)`}
	oras           = peer{"oras", "oras", `oras manifest index create --plain-http "$list" $(printf '%s\n' $sources | sed 's/.*://')`}
)

// table has the limits of what a push may take. Each image has a config and two layers.
var table = []operation{
	{"create --push, 10 images, same repository", 21, 4.5, 0, "list", 10, false, false, createPush, []peer{dockerManifest, imagetools, crane, regctl, oras}},
	{"create, then push, the same", 21, 6, 0, "list", 10, false, false, `docker multiarch create "$list" $sources && docker multiarch push --purge "$list"`, nil},
	{"create --push, bearer login", 25, 7.5, 0, "list", 10, true, false, createPush, []peer{dockerManifest, imagetools, crane}},
	{"inspect of a list", 1, 2.5, 0, "list", 1, false, true, `docker multiarch inspect "$list"`, []peer{
		{"docker manifest", "docker", `docker manifest inspect --insecure "$list"`},
		{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools inspect --raw "$list"`},
		{"crane", "crane", `crane manifest --insecure "$list"`},
		{"oras", "oras", `oras manifest fetch --plain-http "$list"`},
		{"skopeo", "skopeo", `skopeo inspect --raw --tls-verify=false "docker://$list"`},
	}},
	{"create --push, 10 images, another repository", 3*10 + 3*10 + 1, 7.5, 0, "other", 10, false, false, createPush, []peer{dockerManifest, imagetools, crane, regctl}},
	{"create --push, 4 images, another registry", 4*4 + 4*4*3 + 1, 9, 1, "other", 4, false, false, createPush, []peer{imagetools, crane, regctl}},
	{"the same once more", 3*4 + 2, 6, 1, "other", 4, false, true, createPush, []peer{imagetools, crane, regctl}},
}

// rounds measures what the table limits, beside the peers that are installed.
func rounds(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	lines, err := l.lines(farAway, nil)
	if err != nil {
		return err
	}
	tokens := &proxy.Tokens{User: "bench", Password: "bench-secret"}
	guarded, err := l.lines(farAway, tokens)
	if err != nil {
		return err
	}
	if err := l.login(tokens, guarded[0].Host); err != nil {
		return err
	}
	for i, r := range l.registries {
		for _, repo := range []string{"list", "other"} {
			if err := seed(ctx, r, repo, fmt.Sprint(i), images.Spec{Layers: 2}); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nround trips of %v, connections included; the middle one of %d runs\n", farAway, roundsRuns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for n, op := range table {
		at := lines
		if op.login {
			at = guarded
		}
		if err := l.measureRow(ctx, w, n, op, at); err != nil {
			return err
		}
	}
	return nil
}

// login writes the person of the token service into the docker configuration.
func (l *lab) login(tokens *proxy.Tokens, host string) error {
	auth := base64.StdEncoding.EncodeToString([]byte(tokens.User + ":" + tokens.Password))
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)
	return os.WriteFile(filepath.Join(l.home, ".docker", "config.json"), []byte(config), 0o600)
}

var benchPlatforms = []string{"amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le", "mips64"}

// seed puts an image like spec for each platform into a repository, tagged by its architecture.
func seed(ctx context.Context, r *servers.Registry, repo, seed string, spec images.Spec) error {
	for _, arch := range benchPlatforms {
		spec.Seed, spec.Platform = seed+repo+arch, ocispec.Platform{OS: "linux", Architecture: arch}
		if err := r.Put(ctx, repo, arch, images.Image(spec)); err != nil {
			return err
		}
	}
	return nil
}

// measureRow prints what our program takes, and then the peers.
func (l *lab) measureRow(ctx context.Context, w *tabwriter.Writer, n int, op operation, lines []*proxy.Line) error {
	fmt.Fprintf(w, "\n%s\trequests\tconnections\trounds\tlimit\n", op.title)
	for _, p := range append([]peer{{"docker multiarch", "docker", op.script}}, op.peers...) {
		if !l.installed(p) {
			continue
		}
		limit := ""
		if p.script == op.script {
			limit = fmt.Sprintf("%d requests, %.1f rounds", op.requests, op.rounds)
		}
		got, took, err := l.measure(ctx, n, op, p, lines)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(w, "%s\tfailed: %q\n", p.name, err)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%s\n", p.name, len(got.Requests), got.Connections, float64(took)/float64(farAway), limit)
	}
	return w.Flush()
}

// measure returns the traffic of the last run and the middle time.
func (l *lab) measure(ctx context.Context, n int, op operation, p peer, lines []*proxy.Line) (proxy.Traffic, time.Duration, error) {
	var sources []string
	for _, arch := range benchPlatforms[:op.images] {
		sources = append(sources, lines[op.from].Host+"/"+op.repo+":"+arch)
	}
	var traffic proxy.Traffic
	var walls []time.Duration
	for run := range roundsRuns {
		repo := "list"
		if op.from != 0 || op.repo != "list" {
			repo = fmt.Sprintf("list%d-%s-%d", n, strings.ReplaceAll(p.name, " ", "-"), run)
		}
		list := lines[0].Host + "/" + repo + ":bench"
		program := l.shell(p.script, list, lines[0].Host, sources)
		if op.again {
			if _, err := l.shell(createPush, list, lines[0].Host, sources).run(ctx); err != nil {
				return traffic, 0, err
			}
		}
		for _, line := range lines {
			line.Take()
		}
		u, err := program.run(ctx)
		if err != nil {
			return traffic, 0, err
		}
		walls = append(walls, u.wall)
		traffic = lines[0].Take().Plus(lines[1].Take())
	}
	return traffic, median(walls), nil
}

// shell is a script with the names that it works on.
func (l *lab) shell(script, list, host string, sources []string) program {
	env := append(l.env[:len(l.env):len(l.env)], "list="+list, "host="+host, "sources="+strings.Join(sources, " "))
	return program{script, []string{"sh", "-c", script}, env}
}
