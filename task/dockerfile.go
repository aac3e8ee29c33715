package task

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
	"github.com/docker-multiarch/docker-multiarch/manifest"
)

// Platform returns the platform in the FROM of a Dockerfile's final stage, which is target or, if that is "", the last
// one. It is "" if there is none or it contains a variable.
func Platform(dockerfile []byte, target string) string {
	return finalStage(readStages(dockerfile), target).platform
}

// stage is a stage of a Dockerfile.
type stage struct {
	name     string
	platform string // "" for none
	base     string
	line     int // of its FROM
}

// finalStage returns the final stage of a build. If its base is another stage, platform and base are those of that.
func finalStage(stages []stage, target string) stage {
	i := len(stages) - 1
	if target != "" {
		i = stageNamed(stages, target)
	}
	if i < 0 {
		return stage{}
	}
	built := stages[i]
	for built.platform == "" {
		i = stageNamed(stages[:i], built.base)
		if i < 0 {
			break
		}
		built.platform, built.base = stages[i].platform, stages[i].base
	}
	if strings.Contains(built.platform, "$") {
		built.platform = ""
	}
	return built
}

// PinnedBase is a FROM in the Dockerfile of a build that names an image by digest, which has to be that of an index with
// images for all platforms of the build.
type PinnedBase struct {
	Image reference.Canonical
	// Line is that of FROM in the Dockerfile.
	Line int

	step int
}

// PinnedBases returns the FROMs by digest of all builds whose platforms the file states. The function returns the
// Dockerfile of a build step; if it returns an error, that step is left out. Left out, too, are a FROM with a platform of its
// own and one with a variable in the name.
func PinnedBases(f File, dockerfile func(Step) ([]byte, error)) (out []PinnedBase) {
	for i, s := range f.Steps {
		b, ok := s.Action.(Build)
		if !ok || len(b.Platforms) == 0 {
			continue
		}
		raw, err := dockerfile(s)
		if err != nil {
			continue
		}
		for _, stage := range readStages(raw) {
			if p := strings.Trim(stage.platform, "${}"); p != "" && p != "TARGETPLATFORM" {
				continue
			}
			named, err := manifest.ParseName(stage.base)
			if at, ok := named.(reference.Canonical); ok && err == nil {
				out = append(out, PinnedBase{at, stage.line, i})
			}
		}
	}
	return out
}

// Check returns the finding that the image has the digest of a single platform, own, and the build is for another; nil if
// the build is for own alone. The file is that of [PinnedBases].
func (b PinnedBase) Check(f File, own ocispec.Platform) []Finding {
	var others []string
	build, _ := f.Steps[b.step].Action.(Build)
	for _, typed := range build.Platforms {
		if p, err := manifest.ParsePlatform(typed); err == nil && !p.Matches(own) {
			others = append(others, typed)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []Finding{b.finding(f, "%s is an image for %s only, not an index: the build for %s gets files for another architecture",
		b.Image, manifest.FormatPlatform(own), strings.Join(others, ", "))}
}

// Unknown returns the finding that the image could not be looked up.
func (b PinnedBase) Unknown(f File, err error) []Finding {
	return []Finding{b.finding(f, "%s could not be looked up: %v", b.Image, err)}
}

func (b PinnedBase) finding(f File, format string, args ...any) Finding {
	message := fmt.Sprintf("FROM in line %d of the Dockerfile: ", b.Line) + fmt.Sprintf(format, args...)
	return Finding{f.Steps[b.step].Position, Warning, fmt.Sprintf("steps[%d].build", b.step), manifest.OneLine(message, 10*maxShown)}
}

// stageNamed returns the index of the last stage with a name or number, -1 for none.
func stageNamed(stages []stage, name string) int {
	for i := len(stages) - 1; i >= 0; i-- {
		if stages[i].name != "" && strings.EqualFold(stages[i].name, name) {
			return i
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(stages) {
		return i
	}
	return -1
}

func readStages(dockerfile []byte) []stage {
	var stages []stage
	for _, from := range instructions(string(dockerfile)) {
		all := strings.Fields(from.text)
		if len(all) < 2 || !strings.EqualFold(all[0], "FROM") {
			continue
		}
		s := stage{line: from.line}
		rest := all[1:]
		for ; len(rest) > 0 && strings.HasPrefix(rest[0], "--"); rest = rest[1:] {
			if platform, ok := strings.CutPrefix(rest[0], "--platform="); ok {
				s.platform = strings.Trim(platform, `"'`)
			}
		}
		if len(rest) > 0 {
			s.base = strings.Trim(rest[0], `"'`)
		}
		if len(rest) == 3 && strings.EqualFold(rest[1], "AS") {
			s.name = rest[2]
		}
		stages = append(stages, s)
	}
	return stages
}

var escapeDirective = lazyregexp.New("(?i)^#\\s*escape\\s*=\\s*([\\\\`])\\s*$")
var otherDirective = lazyregexp.New(`^#\s*[a-zA-Z][a-zA-Z0-9]*\s*=`)

// instruction is an instruction of a Dockerfile on one line, and the number of the line on which it starts.
type instruction struct {
	text string
	line int
}

// instructions returns the instructions of a Dockerfile without comments and here-documents.
func instructions(text string) []instruction {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	escape := `\`
	for _, line := range lines {
		if m := escapeDirective().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			escape = m[1]
		} else if !otherDirective().MatchString(line) {
			break // directives precede everything else
		}
	}
	var out []instruction
	var continued strings.Builder
	start := 0
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if continued.Len() == 0 {
			start = i + 1
		}
		if rest, more := strings.CutSuffix(line, escape); more {
			continued.WriteString(rest)
			continue
		}
		continued.WriteString(line)
		out = append(out, instruction{continued.String(), start})
		i = afterDocuments(continued.String(), lines, i)
		continued.Reset()
	}
	if continued.Len() > 0 {
		out = append(out, instruction{continued.String(), start})
	}
	return out
}

var hereDocument = lazyregexp.New(`^[0-9]*<<(-?)["']?([a-zA-Z_][a-zA-Z0-9_.-]*)["']?$`)

// afterDocuments returns the index of the last line of an instruction's here-documents, i if it has none.
func afterDocuments(instruction string, lines []string, i int) int {
	all := strings.Fields(instruction)
	switch strings.ToUpper(all[0]) {
	case "RUN", "COPY", "ADD":
	default:
		return i
	}
	for _, word := range all[1:] {
		m := hereDocument().FindStringSubmatch(word)
		if m == nil {
			continue
		}
		for j := i + 1; j < len(lines); j++ {
			line := strings.TrimRight(lines[j], "\r")
			if m[1] == "-" {
				line = strings.TrimLeft(line, "\t")
			}
			if line == m[2] {
				i = j
				break
			}
		}
	}
	return i
}
