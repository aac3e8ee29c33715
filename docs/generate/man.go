package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/commands"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// revised is the month that man pages carry, so that they do not change with the day they are made.
const revised = "Nov 2026"

type term struct{ word, text string }

var exitStatus = []term{
	{"0", "Success."},
	{"1", "An error."},
	{"125", "A flag that does not exist or has an invalid value."},
	{"130", "Interrupted with Ctrl-C."},
	{"143", "Ended by SIGTERM."},
}

var environment = []term{
	{"DOCKER_CONFIG", "The folder of the configuration, in place of ~/.docker."},
	{"DOCKER_AUTH_CONFIG", "Logins as JSON, in the form of config.json, that take precedence over the stored ones."},
	{"DOCKER_HOST, DOCKER_CONTEXT", "The daemon, as for docker(1)."},
	{"BUILDKIT_PROGRESS", "The default of --progress."},
	{"NO_COLOR", "Disables colors if it is not empty."},
	{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "Proxies for requests to registries."},
}

var files = []term{
	{"~/.docker/config.json", "Logins, credential helpers and settings of the docker command."},
	{"~/.docker/manifests/", "The local manifest lists."},
	{"~/.docker/certs.d/, /etc/docker/certs.d/", "Certificates of registries, in a folder for each."},
}

// writeMan writes the pages of cmd and of all commands below it to dir.
func writeMan(dir string, cmd *cobra.Command) error {
	if err := os.WriteFile(filepath.Join(dir, page(cmd)+".1"), []byte(manPage(cmd)), 0o644); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			if err := writeMan(dir, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func page(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage returns the page of cmd in the language of man(7).
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"docker\\-multiarch\" \"Docker\"\n", roff(strings.ToUpper(page(cmd))), revised)
	b.WriteString(".nh\n.ad l\n.SH NAME\n" + roff(page(cmd)+" - "+cmd.Short) + "\n")
	b.WriteString(".SH SYNOPSIS\n.B " + roff(cmd.UseLine()) + "\n")
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n" + strings.ReplaceAll(roff(text), "\n\n", "\n.PP\n") + "\n")
	b.WriteString(section("OPTIONS", options(cmd.NonInheritedFlags())))
	if cmd.HasExample() {
		b.WriteString(".SH EXAMPLES\n.EX\n" + roff(continued(cmd.Example)) + "\n.EE\n")
	}
	status := slices.Clone(exitStatus)
	for i, t := range status[:2] {
		if own := cmd.Annotations["exit "+t.word]; own != "" {
			status[i].text = own
		}
	}
	if unknown := cmd.Annotations[commands.AnnotationUnknown]; unknown != "" {
		status = slices.Concat(status[:2], []term{{"2", unknown}}, status[3:])
	}
	b.WriteString(section("EXIT STATUS", status) + section("ENVIRONMENT", environment) + section("FILES", files))
	b.WriteString(".SH SEE ALSO\n" + seeAlso(cmd) + "\n")
	return b.String()
}

// maxExample is the length of lines of examples that fit into 80 columns.
const maxExample = 70

// continued returns commands whose lines are at most maxExample long where they can be broken: between words.
func continued(commands string) string {
	words := regexp.MustCompile(`('[^']*'|[^ '])+`)
	var lines []string
	for command := range strings.SplitSeq(commands, "\n") {
		line := ""
		for _, word := range words.FindAllString(command, -1) {
			if line != "" && len(line)+len(word) > maxExample {
				lines, line = append(lines, line+` \`), "   "
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// section returns a section with a list of terms, "" without any. A word is bold unless it is marked up.
func section(title string, terms []term) string {
	if len(terms) == 0 {
		return ""
	}
	text := ".SH " + title + "\n"
	for _, t := range terms {
		word := t.word
		if !strings.Contains(word, `\fB`) {
			word = `\fB` + roff(word) + `\fP`
		}
		text += ".TP\n" + word + "\n" + strings.ReplaceAll(roff(t.text), "\n", "\n.br\n") + "\n"
	}
	return text
}

// options describes flags, with the types of their values and their defaults.
func options(flags *pflag.FlagSet) (terms []term) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		word := `\fB` + roff("--"+f.Name) + `\fP`
		if f.Shorthand != "" {
			word = `\fB` + roff("-"+f.Shorthand) + `\fP, ` + word
		}
		if kind != "" {
			word += ` \fI` + roff(kind) + `\fP`
		}
		if f.DefValue != "" && !slices.Contains([]string{"false", "0", "[]"}, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		terms = append(terms, term{word, usage})
	})
	return terms
}

// seeAlso returns the pages of the command above cmd, and of those below it.
func seeAlso(cmd *cobra.Command) string {
	var out []string
	add := func(c *cobra.Command) { out = append(out, `\fB`+roff(page(c))+`\fP(1)`) }
	if cmd.HasParent() {
		add(cmd.Parent())
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			add(sub)
		}
	}
	return strings.Join(out, ",\n")
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`)

// roff returns text in which man finds no commands.
func roff(text string) string {
	lines := strings.Split(roffEscapes.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
