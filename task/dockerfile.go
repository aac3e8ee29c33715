package task

import (
	"strconv"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
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
	for _, line := range instructions(string(dockerfile)) {
		all := strings.Fields(line)
		if len(all) < 2 || !strings.EqualFold(all[0], "FROM") {
			continue
		}
		var s stage
		rest := all[1:]
		for len(rest) > 0 && strings.HasPrefix(rest[0], "--") {
			if platform, ok := strings.CutPrefix(rest[0], "--platform="); ok {
				s.platform = strings.Trim(platform, `"'`)
			}
			rest = rest[1:]
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

// instructions returns the instructions of a Dockerfile, each on one line, without comments and here-documents.
func instructions(text string) []string {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	escape := `\`
	for _, line := range lines {
		if m := escapeDirective().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			escape = m[1]
		} else if !otherDirective().MatchString(line) {
			break // directives precede everything else
		}
	}
	var out []string
	var continued strings.Builder
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if rest, more := strings.CutSuffix(line, escape); more {
			continued.WriteString(rest)
			continue
		}
		continued.WriteString(line)
		out = append(out, continued.String())
		continued.Reset()
		i = afterDocuments(out[len(out)-1], lines, i)
	}
	if continued.Len() > 0 {
		out = append(out, continued.String())
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
