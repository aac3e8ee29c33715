package shell

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Texts that try to leave the workspace, to grow without limit or to run something here are refused with their position, or
// run to their end without.
func TestHostileTexts(t *testing.T) {
	const before = "docker fail 0; "
	many, mebi := strings.Repeat("a ", 12_000), strings.Repeat("a", maxText/2)
	for _, tt := range []struct {
		text string
		code int    // -1 for a text that is refused, or ends at once
		want string // in the output, the error output or the error
	}{
		// quoting
		{before + `docker '; reboot' "; reboot" \; reboot`, 0, `["docker" "; reboot" "; reboot" ";" "reboot"]`},
		{before + `docker "a'b" 'a"b' a\'b`, 0, `["docker" "a'b" "a\"b" "a'b"]`},
		{before + "docker 'a\nb' \"c\nd\" e\\\nf", 0, `["docker" "a\nb" "c\nd" "ef"]`},
		{before + `docker "unclosed`, -1, ErrUnclosed.Error()},
		{before + "docker $'a\\nb'", 0, `"$a\\nb"`},
		{before + "docker \xff", -1, "UTF-8 encoding, at column 23"},
		{before + "docker '$(reboot)' '`reboot`' \\$(reboot\\)", -1, "column"},
		{before + "'reboot' | \"cat\"", -1, `reboot, at column 16 of the text`},
		// expansion
		{before + `docker ${A}${B} "$A" $A $UNSET ${#A} ${A%two} ${!A}`, -1, "is not supported outside of quotes, at column 62"},
		{before + `docker "$A" $A $UNSET "${B:-$(reboot)}"`, -1, "reboot, at column 46"},
		{before + "X='$(reboot) `reboot` $B; reboot'; docker $X", 0, `["docker" "$(reboot)" "` + "`reboot`" + `" "$B;" "reboot"]`},
		{before + "X=docker; $X ps", -1, `$X, at column 26`},
		{before + "X='rm -rf /'; export Y=\"$X\"; docker $Y", 0, `["docker" "rm" "-rf" "/"]`},
		{before + "export 'A\nB=1'", 2, "expected NAME"},
		{before + "export A=1 =2", 2, "expected NAME"},
		{before + "export 1A=2", 2, "expected NAME"},
		{before + "docker ~root/.ssh", -1, "~ is not supported outside of quotes, at column 23"},
		{before + "X=~/.ssh", -1, "~ is not"},
		{before + "docker $((1 + $(reboot)))", -1, "$(( is not"},
		{before + "docker * [a-z] {a,b} ?", 0, `["docker" "*" "[a-z]" "{a,b}" "?"]`},
		{before + "for reboot in a; do docker $reboot; done", 0, `"a"`},
		{before + "IFS=x; docker axb", 0, `"axb"`},
		// redirection, also through links that are in the workspace
		{before + "echo a > ../outside", 1, "outside of /workspace"},
		{before + "echo a >> /workspace/../outside", 1, "outside of /workspace"},
		{before + "echo a > dir/../../outside", 1, "outside of /workspace"},
		{before + "echo a > link", 1, "escapes"},
		{before + "echo a >> relative", 1, "escapes"},
		{before + "echo a >| absent", 1, "escapes"},
		{before + "echo a > up/outside", 1, "escapes"},
		{before + "echo a > loop", 1, "loop"},
		{before + "cat link up/outside relative", 1, "escapes"},
		{before + "cat < link", 1, "escapes"},
		{before + "docker read < up/outside", 1, "escapes"},
		{before + "docker x $(cat link)", 0, `["docker" "x"]`},
		{before + "test -e link || test -f up/outside && echo found", 2, "escapes"},
		{before + "cd up && echo in", 1, "escapes"},
		{before + "cd dir; cat ../../outside", 1, "outside of /workspace"},
		{before + "docker ps > link 2>&1", 1, "escapes"},
		{before + "docker ps 2> /proc/self/mem", 1, "outside of /workspace"},
		{before + "echo a > dir", 1, "directory"},
		{before + "echo a > /dev/stdout", 1, "outside of /workspace"},
		{before + "echo a > /dev/null; cat /dev/null; echo done", 0, "done"},
		{before + "echo a > 'new\nline'; cat 'new\nline'", 0, "a\n"},
		{before + "echo a > '; reboot'; cat '; reboot'", 0, "a\n"},
		{before + "docker x 9> in", -1, "9> is not"},
		{before + "docker x 1<> in", -1, "<> is not"},
		{before + "docker x" + strings.Repeat(" > in", 200), 1, "more than 100 files are open"},
		{before + "cat" + strings.Repeat(" in", 5000) + " > out; test -s out && echo done", 0, "done"},
		// here-documents
		{before + "docker read <<E\n$(docker fail 3)$B\\$B`echo c`\nE", 0, "b$Bc"},
		{before + "docker read <<'E'\n$(reboot)\nE", 0, "$(reboot)"},
		{before + "docker read <<E\n$(reboot)\nE", -1, "reboot, at line 2, column 3"},
		{before + "docker read <<E\nno end", -1, "here-document, at column 28"},
		{before + "docker read <<E\n" + mebi + "\nE", 0, "aaaa"},
		{before + "X=" + mebi[:maxText/3] + "\ndocker read <<E\n$X$X$X$X\nE", -1, "larger than 1 MiB, at line 2, column 1"},
		{before + "X='\nE\nreboot'; docker read <<E\n$X\nE", 0, "reboot"},
		// substitution
		{before + "docker $(reboot)", -1, "reboot, at column 25"},
		{before + "docker `reboot`", -1, "reboot, at column 24"},
		{before + "$(echo reboot) now", -1, "$(echo reboot), at column 16"},
		{before + "docker $(echo '; reboot' '&' '|')", 0, `["docker" ";" "reboot" "&" "|"]`},
		{before + "docker $(docker $(docker $(echo a)))", 0, `false ["docker" "false"`},
		{before + "docker <(reboot)", -1, "column"},
		{before + "docker x" + strings.Repeat("$(docker ", 4000) + strings.Repeat(")", 4000), -1, "larger than 1 MiB, at column"},
		// other programs and commands
		{before + "eval reboot", -1, "eval, at column 16"},
		{before + ". ./script", -1, "., at column 16"},
		{before + "source script; exec sh; trap x EXIT", -1, "source, at column 16"},
		{before + "sh -c reboot", -1, "sh, at column 16"},
		{before + "/bin/sh script", -1, "/bin/sh, at column 16"},
		{before + "docker ps | sh", -1, "sh, at column 28"},
		{before + "f() { docker ps; }; f", -1, "a function is not"},
		{before + "docker ps &", -1, "& is not"},
		{before + "A=1 docker ps", -1, "an assignment before a command is not"},
		// size
		{"docker " + mebi + mebi + mebi, -1, "larger than 1 MiB"},
		{before + "docker x" + strings.Repeat(" $L", 200), -1, "larger than 1 MiB, at column 16"},
		{before + "for i in " + many + "; do X$i=1; done", -1, "of the text"},
		{before + "X=$L; for i in " + many + "; do export V$X=$X; X=${X}1; done", -1, "larger than 1 MiB, at column"},
		{before + "for i in " + many + "; do true; done", -1, "more than 10000 commands"},
		{before + "for i in " + many + "; do echo $L; done | docker x $(cat)", -1, "larger than 1 MiB"},
		{"docker x" + strings.Repeat(" | docker x", 150), -1, "more than 100 pipes"},
		{"docker x" + strings.Repeat(" | x", 100_000), -1, "too many"},
		{"docker x" + strings.Repeat(" && docker x", 40_000), -1, "too many"},
		{before + strings.Repeat("while ", 100_000), -1, "too many"},
		{before + strings.Repeat("case x in x) ", 50_000), -1, "too many"},
		{before + strings.Repeat("a=", 20_000) + "; " + strings.Repeat("b= ", 20_000), -1, "more than 10000 commands"},
		{"docker x; export " + strings.Repeat("B=1 ", 20_000), -1, "more than 10000 commands"},
		{before + "docker " + strings.Repeat(" ", 70_000) + "&", -1, "at column 70023 of the text"},
		{strings.Repeat("\n", 10) + "docker x\n" + strings.Repeat("#\n", 300_000) + "docker x &", -1, "at line 300002, column 10 of the text"},
	} {
		code, shown := runHostile(t, tt.text)
		if code != tt.code || !strings.Contains(shown, tt.want) {
			t.Errorf("%.120q: got code %d and %.300q, want code %d and %q", tt.text, code, shown, tt.code, tt.want)
		}
	}
}

// The output of $(...) is not kept beyond its limit, however it is written.
func TestLimitedBuffer(t *testing.T) {
	half := strings.Repeat("a", maxText/2)
	for name, write := range map[string]func(io.Writer) error{
		"copy": func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(strings.NewReader(half), io.LimitReader(strings.NewReader(half+half), maxText)))
			return err
		},
		"string": func(w io.Writer) error {
			_, err := io.WriteString(w, half+half+"a")
			return err
		},
		"both streams": func(w io.Writer) error {
			var running sync.WaitGroup
			for range 4 {
				running.Go(func() { _, _ = io.WriteString(w, half) })
			}
			running.Wait()
			_, err := io.WriteString(w, "a")
			return err
		},
	} {
		var b limitedBuffer
		if err := write(&b); !errors.Is(err, errLarge) || len(b.String()) > maxText {
			t.Errorf("%s: got error %v and %d bytes, want %v and at most %d", name, err, len(b.String()), errLarge, maxText)
		}
	}
}

// runHostile runs a text in a workspace with links out of it, and returns its output and error. It checks that nothing
// outside was read or changed.
func runHostile(t *testing.T, text string) (code int, shown string) {
	t.Helper()
	outer := t.TempDir()
	root := hostileWorkspace(t, filepath.Join(outer, "workspace"))
	defer root.Close()
	var out bytes.Buffer
	var mu sync.Mutex
	env := []string{"A=one two", "B=b", "L=" + strings.Repeat("l", 10_000)}
	parsed, err := Parse(text)
	if err == nil {
		err = parsed.Commands(env, func(words []string, first bool) error {
			if words[0] != "docker" && !first {
				return fmt.Errorf("cannot run %s", words[0])
			}
			return nil
		})
	}
	if code = -1; err == nil {
		code, err = parsed.Run(t.Context(), fakeHost{root}, ".", env, Streams{strings.NewReader(""), locked{&mu, &out}, locked{&mu, &out}})
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	content, readErr := os.ReadFile(filepath.Join(outer, "outside"))
	files, listErr := os.ReadDir(outer)
	if readErr != nil || listErr != nil || string(content) != "secret" || len(files) != 2 || strings.Contains(out.String(), "secret") {
		t.Errorf("%.120q: got file %q, files %v, errors %v %v and output %.300q, want nothing read or changed", text, content, files, readErr, listErr, out.String())
	}
	return code, out.String()
}
