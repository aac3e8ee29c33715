package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/e2e/images"
	"github.com/docker-multiarch/docker-multiarch/e2e/proxy"
	"github.com/docker-multiarch/docker-multiarch/e2e/servers"
)

const (
	// farAway is the round trip time for counting rounds: the start of a process is a fraction of it.
	farAway = 200 * time.Millisecond
	// roundsRuns is how often each of our operations is measured; those of the peers, which take long and vary
	// little, are measured once.
	roundsRuns = 5
)

// operation is a row of the table of limits.
type operation struct {
	title    string
	requests int
	rounds   float64
	from     int // registry of the images; the list is pushed to the first one
	repo     string
	images   int
	login    bool
	again    bool // the list exists already
	bytes    bool // the time without a delay is that of the bytes, and not counted as rounds
	script   string
	peers    []peer
}

const createPush = `docker multiarch create --push "$list" $sources`

var (
	dockerManifest = peer{"docker manifest", "docker", `docker manifest create --insecure "$list" $sources && docker manifest push --insecure -p "$list"`}
	imagetools     = peer{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools create -t "$list" $sources`}
	crane          = peer{"crane", "crane", `crane index append --insecure $(printf -- '-m %s ' $sources) -t "$list"`}
	regctl         = peer{"regctl", "regctl", `regctl index create "$list" $(printf -- '--ref %s ' $sources)`}
	oras           = peer{"oras", "oras", `oras manifest index create --plain-http "$list" $(printf '%s\n' $sources | sed 's/.*://')`}
)

// table has the limits of a push. Each image has a config and two layers.
var table = []operation{
	{
		title: "create --push, 10 images, same repository", requests: 22, rounds: 4.5, repo: "list", images: 10,
		script: createPush, peers: []peer{dockerManifest, imagetools, crane, regctl, oras},
	},
	{
		title: "create, then push, the same", requests: 22, rounds: 7, repo: "list", images: 10,
		script: `docker multiarch create "$list" $sources && docker multiarch push --purge "$list"`,
	},
	{
		title: "create --push, bearer login", requests: 26, rounds: 7.5, repo: "list", images: 10, login: true,
		script: createPush, peers: []peer{dockerManifest, imagetools, crane},
	},
	{
		title: "inspect of a list", requests: 1, rounds: 2.5, repo: "list", images: 1, again: true,
		script: `docker multiarch inspect "$list"`, peers: []peer{
			{"docker manifest", "docker", `docker manifest inspect --insecure "$list"`},
			{"docker buildx imagetools", "docker-buildx", `docker buildx imagetools inspect --raw "$list"`},
			{"crane", "crane", `crane manifest --insecure "$list"`},
			{"regctl", "regctl", `regctl manifest get --format raw-body "$list"`},
			{"oras", "oras", `oras manifest fetch --plain-http "$list"`},
			{"skopeo", "skopeo", `skopeo inspect --raw --tls-verify=false "docker://$list"`},
		},
	},
	{
		title: "create --push, 10 images, another repository", requests: 3*10 + 3*10 + 2, rounds: 7.5, repo: "other", images: 10,
		script: createPush, peers: []peer{dockerManifest, imagetools, crane, regctl},
	},
	{
		title: "create --push, 4 images, another registry", requests: 4*4 + 4*4*3 + 2, rounds: 9, from: 1, repo: "other", images: 4,
		bytes: true, script: createPush, peers: []peer{imagetools, crane, regctl},
	},
	{
		title: "the same once more", requests: 3*4 + 3, rounds: 6, from: 1, repo: "other", images: 4, again: true,
		script: createPush, peers: []peer{imagetools, crane, regctl},
	},
}

// distances are lines to the registries, and to the same registries with a login.
type distances struct{ open, guarded []*proxy.Line }

// rounds measures the operations of the table, ours and those of the installed peers.
func rounds(ctx context.Context, o options) (err error) {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	tokens := &proxy.Tokens{User: "bench", Password: "bench-secret"}
	near, err := l.distances(ctx, 0, tokens)
	if err != nil {
		return err
	}
	far, err := l.distances(ctx, farAway, tokens)
	if err != nil {
		return err
	}
	if err := l.login(tokens, near.guarded[0].Host, far.guarded[0].Host); err != nil {
		return err
	}
	for i, r := range l.registries {
		for _, repo := range []string{"list", "other"} {
			if err := seed(ctx, r, repo, fmt.Sprint(i), images.Spec{Layers: 2}); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nround trips of %v, connections included: ours the median of %d runs, the peers' of one\n", farAway, roundsRuns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, op := range table {
		if err := l.measureRow(ctx, w, op, near.of(op), far.of(op)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) distances(ctx context.Context, delay time.Duration, tokens *proxy.Tokens) (d distances, err error) {
	if d.open, err = l.lines(ctx, delay, nil); err == nil {
		d.guarded, err = l.lines(ctx, delay, tokens)
	}
	return d, err
}

// of returns the lines that an operation uses.
func (d distances) of(op operation) []*proxy.Line {
	if op.login {
		return d.guarded
	}
	return d.open
}

// login writes the credentials of the token service into the docker configuration.
func (l *lab) login(tokens *proxy.Tokens, hosts ...string) error {
	auth := base64.StdEncoding.EncodeToString([]byte(tokens.User + ":" + tokens.Password))
	auths := map[string]any{}
	for _, host := range hosts {
		auths[host] = map[string]string{"auth": auth}
	}
	config, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.home, ".docker", "config.json"), config, 0o600)
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

// measureRow prints the figures of our program, and then those of the peers.
func (l *lab) measureRow(ctx context.Context, w *tabwriter.Writer, op operation, near, far []*proxy.Line) error {
	fmt.Fprintf(w, "\n%s\trequests\tconnections\trounds\n", op.title)
	ours := peer{"docker multiarch", "docker", op.script}
	got, took, err := l.measure(ctx, op, ours, far, roundsRuns)
	if err != nil {
		return err
	}
	_, least, err := l.measure(ctx, op, ours, near, roundsRuns)
	if err != nil {
		return err
	}
	printRow(w, ours, got, took)
	for _, p := range op.peers {
		if err := l.measurePeer(ctx, w, op, p, far); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	op.judge(len(got.Requests), took, least)
	return nil
}

func printRow(w io.Writer, p peer, got proxy.Traffic, took time.Duration) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\n", p.name, len(got.Requests), got.Connections, inRounds(took))
}

func inRounds(d time.Duration) float64 { return float64(d) / float64(farAway) }

// judge prints whether the limits are kept. Least is the time of the operation without a delay.
func (op operation) judge(requests int, took, least time.Duration) {
	promise := fmt.Sprintf("%s: at most %d requests and %.1f rounds", op.title, op.requests, op.rounds)
	figures := fmt.Sprintf("%d, %.2f; without a delay the same takes %.2f s, as long as %.2f rounds", requests, inRounds(took), least.Seconds(), inRounds(least))
	if op.bytes {
		promise += " plus the bytes"
		took -= least
		figures += fmt.Sprintf("; %.2f without these", inRounds(took))
	}
	result(promise, requests <= op.requests && inRounds(took) <= op.rounds, figures)
}

func (l *lab) measurePeer(ctx context.Context, w *tabwriter.Writer, op operation, p peer, lines []*proxy.Line) error {
	if !l.installed(p) {
		return nil
	}
	got, took, err := l.measure(ctx, op, p, lines, 1)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		fmt.Fprintf(w, "%s\tfailed: %q\n", p.name, err)
	default:
		printRow(w, p, got, took)
	}
	return nil
}

// measure returns the traffic of the last run and the median time.
func (l *lab) measure(ctx context.Context, op operation, p peer, lines []*proxy.Line, runs int) (proxy.Traffic, time.Duration, error) {
	var traffic proxy.Traffic
	var walls []time.Duration
	for range runs {
		repo := "list"
		if op.from != 0 || op.repo != "list" {
			l.lists++
			repo += fmt.Sprint(l.lists)
		}
		if op.again {
			if _, err := l.operate(ctx, op, createPush, repo, l.registries[0].Host, l.registries[op.from].Host); err != nil {
				return traffic, 0, err
			}
		}
		for _, line := range lines {
			line.Take()
		}
		u, err := l.operate(ctx, op, p.script, repo, lines[0].Host, lines[op.from].Host)
		if err != nil {
			return traffic, 0, err
		}
		walls = append(walls, u.wall)
		traffic = lines[0].Take().Plus(lines[1].Take())
	}
	return traffic, median(walls), nil
}

// operate runs a script for a list in a repository of the registry to.
func (l *lab) operate(ctx context.Context, op operation, script, repo, to, from string) (usage, error) {
	var sources []string
	for _, arch := range benchPlatforms[:op.images] {
		sources = append(sources, from+"/"+op.repo+":"+arch)
	}
	return l.shell(script, to+"/"+repo+":bench", sources).run(ctx, 0)
}

// shell returns a script with its names as variables, in addition to env.
func (l *lab) shell(script, list string, sources []string, env ...string) program {
	env = slices.Concat(l.env, env, []string{"list=" + list, "sources=" + strings.Join(sources, " ")})
	return program{name: script, args: []string{"sh", "-c", script}, env: env}
}
