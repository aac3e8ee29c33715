package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/e2e/harness"
)

const dropinFolder = "testdata/dropin"

var updateDropin = flag.Bool("update-dropin", false, "write what the tools do now into the drop-in scripts that state a difference")

// dropinCase is a script of testdata/dropin/cases. Its comments are:
//
//	# differs: KEY    the tools differ on purpose; KEY is one of differences.txt
//	# turns: TOOL...   the tool for each command in our run
//	# in turns: no (WHY) if each tool runs the whole script, without taking turns
//	# docker| LINE    what `docker manifest` does
//	# ours| LINE      what `docker multiarch` does
type dropinCase struct {
	name, file, script string
	differs            string
	turns              []string // of ours
	alone              bool
	transcripts        map[string]string
}

// dropinSummary collects the results of the scripts.
type dropinSummary struct {
	mu     sync.Mutex
	agree  int
	proven map[string][]string // by key of the difference: the scripts
}

// Scripts written for `docker manifest` do the same with `docker multiarch`, and with both taking turns: exit codes,
// standard output, local store and registry. Where the tools differ on purpose, the script states what each of them
// does.
func TestDropIn(t *testing.T) {
	cases, differences := dropinCases(t), dropinDifferences(t)
	summary := &dropinSummary{proven: map[string][]string{}}
	t.Run("script", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				if c.differs != "" {
					testDifference(t, c)
				} else {
					testAgreement(t, c)
				}
				summary.add(c, t.Failed())
			})
		}
	})
	if flag.Lookup("test.run").Value.String() == "" {
		summary.complete(t, cases, differences)
	}
	summary.print(t, cases, differences)
}

// testAgreement runs a script with each tool alone and with both in turns.
func testAgreement(t *testing.T, c dropinCase) {
	want := runDropin(t, c, 0, slices.Repeat([]string{docker}, maxTurns))
	if len(want.steps) == 0 {
		t.Fatal("the script runs no command")
	}
	for i, turns := range c.takeTurns(len(want.steps)) {
		got := runDropin(t, c, i+1, turns)
		for _, problem := range append(got.complaints(), got.differences(want)...) {
			t.Errorf("with %s: %s", strings.Join(turns[:len(want.steps)], " "), problem)
		}
		if t.Failed() {
			return
		}
	}
}

// maxTurns is more than the number of commands in any script.
const maxTurns = 40

// takeTurns returns the tool for each of n commands: ours for all, then both in turns and, in a relay, one tool up to
// some command and the other from there on.
func (c dropinCase) takeTurns(n int) [][]string {
	alternate := func(first, second string) []string { return slices.Repeat([]string{first, second}, maxTurns/2) }
	all := [][]string{slices.Repeat([]string{ours}, maxTurns)}
	if n == 1 || c.alone {
		return all
	}
	all = append(all, alternate(docker, ours))
	if !strings.HasPrefix(c.name, "relay-") {
		return all
	}
	all = append(all, alternate(ours, docker))
	for i := 1; i < n; i++ {
		for _, pair := range [][2]string{{docker, ours}, {ours, docker}} {
			first := slices.Repeat([]string{pair[0]}, i)
			all = append(all, append(first, slices.Repeat([]string{pair[1]}, maxTurns-i)...))
		}
	}
	return all
}

// testDifference runs a script with each tool and compares the results with its comments.
func testDifference(t *testing.T, c dropinCase) {
	names := newDigestNames()
	got := map[string]string{}
	turns := map[string][]string{docker: slices.Repeat([]string{docker}, maxTurns), ours: c.turns}
	for i, tool := range []string{docker, ours} {
		run := runDropin(t, c, i, turns[tool])
		for _, problem := range run.complaints() {
			t.Errorf("with %s: %s", tool, problem)
		}
		got[tool] = run.transcript(names)
	}
	if got[docker] == got[ours] {
		t.Errorf("got no difference between the tools:\n%s", got[ours])
	}
	if *updateDropin {
		c.write(t, got)
		return
	}
	for _, tool := range []string{docker, ours} {
		if got[tool] != c.transcripts[tool] {
			t.Errorf("docker %s: got\n%swant\n%s", tool, got[tool], c.transcripts[tool])
		}
	}
}

var (
	differsLine = regexp.MustCompile(`(?m)^# differs: (\S+)$`)
	turnsLine   = regexp.MustCompile(`(?m)^# turns: (.+)$`)
	stated      = regexp.MustCompile(`(?m)^# (docker|ours)\|(?: (.*))?\n`)
	statedBy    = map[string]string{"docker": docker, "ours": ours}
)

// dropinCases reads the scripts.
func dropinCases(t *testing.T) []dropinCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dropinFolder, "cases", "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []dropinCase
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := dropinCase{name: strings.TrimSuffix(filepath.Base(file), ".sh"), file: file, transcripts: map[string]string{}}
		for _, m := range stated.FindAllStringSubmatch(string(data), -1) {
			c.transcripts[statedBy[m[1]]] += m[2] + "\n"
		}
		c.script = strings.TrimRight(stated.ReplaceAllString(string(data), ""), "\n") + "\n"
		if m := differsLine.FindStringSubmatch(c.script); m != nil {
			c.differs = m[1]
		}
		c.turns = slices.Repeat([]string{ours}, maxTurns)
		if m := turnsLine.FindStringSubmatch(c.script); m != nil {
			c.turns = strings.Fields(m[1])
		}
		c.alone = strings.Contains(c.script, "\n# in turns: no (")
		cases = append(cases, c)
	}
	return cases
}

// write writes the results of the tools into the script.
func (c dropinCase) write(t *testing.T, transcripts map[string]string) {
	t.Helper()
	text := c.script
	for _, who := range []string{"docker", "ours"} {
		text += "\n"
		for line := range strings.Lines(transcripts[statedBy[who]]) {
			text += strings.TrimRight("# "+who+"| "+line, " \n") + "\n"
		}
	}
	if err := os.WriteFile(c.file, []byte(text), 0o644); err != nil { //nolint:gosec // a source file
		t.Fatal(err)
	}
}

// difference is an intended difference from docker manifest.
type difference struct{ key, reason string }

// dropinDifferences reads differences.txt: a key and a reason per line.
func dropinDifferences(t *testing.T) []difference {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dropinFolder, "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var out []difference
	for line := range strings.Lines(string(data)) {
		if key, reason, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			out = append(out, difference{key, reason})
		}
	}
	return out
}

func (s *dropinSummary) add(c dropinCase, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case failed:
	case c.differs == "":
		s.agree++
	default:
		s.proven[c.differs] = append(s.proven[c.differs], c.name)
	}
}

// complete checks that a script proves each difference, and that each difference of a script is listed.
func (s *dropinSummary) complete(t *testing.T, cases []dropinCase, differences []difference) {
	t.Helper()
	const least = 60
	if len(cases) < least {
		t.Errorf("got %d scripts, want at least %d", len(cases), least)
	}
	for _, d := range differences {
		if len(s.proven[d.key]) == 0 {
			t.Errorf("no script proves the difference %q", d.key)
		}
	}
	for key, scripts := range s.proven {
		if !slices.ContainsFunc(differences, func(d difference) bool { return d.key == key }) {
			t.Errorf("%v: the difference %q is not listed", scripts, key)
		}
	}
}

func (s *dropinSummary) print(t *testing.T, cases []dropinCase, differences []difference) {
	t.Helper()
	var b strings.Builder
	differ := 0
	for _, d := range differences {
		differ += len(s.proven[d.key])
		fmt.Fprintf(&b, "  %s\n    (%s)\n", d.reason, strings.Join(s.proven[d.key], ", "))
	}
	version := harness.Run(t, harness.NewEnv(t), "docker", "--version").Stdout
	t.Logf("drop-in: %d scripts: %d agree with %s, %d prove %d intended differences:\n%s",
		len(cases), s.agree, strings.TrimSpace(version), differ, len(differences), &b)
}
