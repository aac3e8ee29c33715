package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/commands"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// Each page has its own name in the header, all sections, and flags with their types; no text is taken for a command of man.
func TestManPages(t *testing.T) {
	cli, err := command.NewDockerCli()
	if err != nil {
		t.Fatal(err)
	}
	docker := &cobra.Command{Use: "docker"}
	docker.AddCommand(commands.NewRootCommand(cli))
	all := ""
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		text := manPage(cmd)
		all += text
		title := strings.ToUpper(strings.ReplaceAll(cmd.CommandPath(), " ", `\-`))
		if !strings.HasPrefix(text, `.TH "`+title+`" 1 `) {
			t.Errorf("%s: got header %.60q, want one with %s", cmd.CommandPath(), text, title)
		}
		for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"} {
			if !strings.Contains(text, "\n.SH "+want+"\n") {
				t.Errorf("%s: got no section %s", cmd.CommandPath(), want)
			}
		}
		for line := range strings.Lines(text) {
			macro, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.Contains(" .TH .nh .ad .SH .B .PP .TP .EX .EE .br ", " "+macro+" ") {
				t.Errorf("%s: got line %q, which man takes for a command", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	for _, sub := range docker.Commands() {
		check(sub)
	}
	for _, want := range []string{
		`("1.*", "regex:1[.].*")`, `\fB\-\-filter\fP \fIstringArray\fP`, `\fB\-f\fP, \fB\-\-force\fP` + "\n", `(default 30s)`,
		"\n.TP\n\\fB2\\fP\nIt could not be determined", `\fBdocker\-multiarch\-repo\fP(1)`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("got no %q in the pages", want)
		}
	}
}

// make install puts the pages where man looks for those of section 1.
func TestManPagesAreInstalled(t *testing.T) {
	out, err := exec.Command("make", "-n", "-C", "../..", "install", "MANDIR=/share/man").CombinedOutput()
	if want := "install -m 644 docs/man/*.1 '/share/man/man1'"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got error %v and\n%s\nwant %s", err, out, want)
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{".so /etc/passwd": `\&.so /etc/passwd`, "a\n'b": "a\n\\&'b", `a\b-c`: `a\eb\-c`} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestContinued(t *testing.T) {
	long := strings.Repeat("--word ", 9) + "'a b c d e f'"
	want := strings.TrimSuffix(strings.Repeat("--word ", 9), " ") + " \\\n    'a b c d e f'"
	if got := continued("short\n" + long); got != "short\n"+want {
		t.Errorf("got %q, want %q", got, want)
	}
}
