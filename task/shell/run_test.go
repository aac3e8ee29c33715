package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHost writes its commands to their output. Those that begin with docker fail take their exit code from the next
// word; docker read copies its standard input.
type fakeHost struct{ root *os.Root }

func (h fakeHost) Run(_ context.Context, c Command) (int, error) {
	switch {
	case len(c.Words) > 2 && c.Words[1] == "fail":
		code := 0
		_, _ = fmt.Sscan(c.Words[2], &code)
		return code, fmt.Errorf("exit code %d", code)
	case len(c.Words) > 1 && c.Words[1] == "read":
		_, err := io.Copy(c.Out, c.In)
		return 0, err
	case len(c.Words) > 1 && c.Words[1] == "absent":
		return -1, errors.New("no such image")
	case len(c.Words) > 1 && c.Words[1] == "env":
		_, err := fmt.Fprintln(c.Out, strings.Join(c.Env, " "), "in", c.Dir)
		return 0, err
	}
	_, err := fmt.Fprintf(c.Out, "%v %q\n", c.First, c.Words)
	return 0, err
}

func (h fakeHost) Open(_ context.Context, name string, flag int) (io.ReadWriteCloser, error) {
	return h.root.OpenFile(name, flag, 0o600)
}

func (h fakeHost) Stat(_ context.Context, name string) (os.FileInfo, error) { return h.root.Stat(name) }

// runText runs a text in a workspace with the file "in" and the folder "dir".
func runText(t *testing.T, text string) (code int, out, errOut, failure string) {
	t.Helper()
	parsed, err := Parse(text)
	if err != nil {
		return -1, "", "", err.Error()
	}
	root, err := os.OpenRoot(t.TempDir())
	if err == nil {
		err = errors.Join(root.Mkdir("dir", 0o700), root.WriteFile("in", []byte("of the file\n"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var stdout, stderr bytes.Buffer
	var mu sync.Mutex
	code, err = parsed.Run(t.Context(), fakeHost{root}, ".", []string{"A=1 2", "A=one two", "B=b"},
		Streams{strings.NewReader(""), locked{&mu, &stdout}, locked{&mu, &stderr}})
	if err != nil {
		failure = err.Error()
	}
	return code, stdout.String(), stderr.String(), failure
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		text, out string
		code      int
	}{
		{"docker a && docker b", `true ["docker" "a"]` + "\n" + `false ["docker" "b"]` + "\n", 0},
		{"docker fail 3 && echo no", "", 3},
		{"docker fail 3 || true", "", 0},
		{"docker fail 3 || docker fail 4", "", 4},
		{"docker fail 3; echo yes", "yes\n", 0},
		{"docker fail 3\necho yes", "yes\n", 0},
		{"docker fail 0 && docker fail 1 && echo no || echo yes", "yes\n", 0},
		{"docker absent || echo \"it's $?\"", "it's 125\n", 0},
		{"docker absent", "", 125},
		{"echo hi", `true ["echo" "hi"]` + "\n", 0}, // an image
		{"docker x $A '$A' \"$A\" ${B}c $C ${C:-d} \"${C}\"", `true ["docker" "x" "one" "two" "$A" "one two" "bc" "$C" "${C:-d}" "${C}"]` + "\n", 0},
		{`docker x $(echo "a  b") "$(echo "a  b")" c$(true)d $(false) e`, `true ["docker" "x" "a" "b" "a  b" "cd" "e"]` + "\n", 0},
		{"docker x `echo a`", `true ["docker" "x" "a"]` + "\n", 0},
		{"docker x $(cat in)", `true ["docker" "x" "of" "the" "file"]` + "\n", 0},
		{"docker read < in", "of the file\n", 0},
		{"docker env > out; echo more >> out; cat out", "A=1 2 A=one two B=b in .\nmore\n", 0},
		{"docker fail 1 > out 2>/dev/null; cat out < /dev/null", "", 0},
		{"docker read <<EOF\n$B $C\\$B\nEOF", "b $C$B\n", 0},
		{"docker read <<'EOF'\n$B `x`\nEOF", "$B `x`\n", 0},
		{"docker read <<-EOF\n\t$B\n\tEOF", "b\n", 0},
		{"docker ps | docker read | cat", `true ["docker" "ps"]` + "\n", 0},
		{"docker fail 1 | cat; echo yes", "yes\n", 0},
		{"docker ps | docker fail 2", "", 2},
		{"docker ps | exit 4; echo yes", "yes\n", 0},
		{"docker fail 0; X=$B$(echo c); Y=2; docker x $X$Y", `false ["docker" "x" "bc2"]` + "\n", 0},
		{"docker fail 0; export X=$A Y=$(echo c d) $A; docker x \"$X\" \"$Y\"", `false ["docker" "x" "one two" "c d"]` + "\n", 0},
		{"docker fail 0; export X=1 Y; docker env", "A=1 2 A=one two B=b X=1 in .\n", 0},
		{"docker fail 0; for i in a 'b c' $A; do echo [$i]; done", "[a]\n[b c]\n[one]\n[two]\n", 0},
		{"docker fail 0; for i in a b; do if [ $i = a ]; then echo A; elif test -n ''; then echo no; else echo B; fi; done", "A\nB\n", 0},
		{"docker fail 0; if false; then echo no; fi", "", 0},
		{"docker fail 0; ! false && ! test -e none && { echo a; echo b; }", "a\nb\n", 0},
		{"docker fail 0; ! true", "", 1},
		{"docker fail 0; test -f in && test -d dir && [ -s in ] && [ ! -f dir ] && [ -e dir ] && [ 2 -gt 1 ] && [ 10 -ne 9 ] && [ a != b ] && echo yes", "yes\n", 0},
		{"docker fail 0; test -f /etc/passwd", "", 2},
		{"docker fail 0; test -f none", "", 1},
		{"docker fail 0; [ 1 -eq x ]", "", 2},
		{"docker fail 0; [ a", "", 2},
		{"docker fail 0; exit 7; echo no", "", 7},
		{"docker fail 0; echo $(exit 3)a; exit 0", "a\n", 0},
		{"docker fail 3; exit", "", 3},
		{"docker fail 0; echo a$(docker fail 3) && test -z \"$(grep x in)\" && echo yes; X=$(docker fail 4)", "a\nyes\n", 4},
		{"docker fail 0; printf '%s=%d\\n' a 1 b -2; printf '%%\\tx'; printf '%q' x", "a=1\nb=-2\n%\tx", 2},
		{"docker fail 0; echo -n a; echo 'b\\n'", "ab\\n\n", 0},
		{"docker fail 0; cd dir && docker env; cd / ; cd ..; cd; docker env", "A=1 2 A=one two B=b in dir\nA=1 2 A=one two B=b in .\n", 0},
		{"docker fail 0; cd /workspace/dir; cat ../in; cat in; echo $?", "of the file\n1\n", 0},
		{"docker fail 0; cat in >> in; cat < in >> in; cat in", strings.Repeat("of the file\n", 4), 0},
		{"docker fail 0; cat none in", "of the file\n", 1},
		{`docker fail 0; printf '"Architecture": "arm64",\n"Architecture": "x"\n' | grep -o '"Architecture": "[^"]*"' | head -1 | cut -d'"' -f4`, "arm64\n", 0},
		{"docker fail 0; grep -q of in && grep -v of in; grep -Ei '^(OF|x)+ ' in; grep 'f\\{1,2\\}i\\|+' in; grep -F f. in", "of the file\nof the file\n", 1},
		{"docker fail 0; printf 'a+b\nab\naab\n' | grep 'a+b'; printf 'a+b\nab\naab\n' | grep -x b", "a+b\n", 2},
		{"docker fail 0; printf 'a b\n\nfa fb\n' | grep -o 'f*[ab]'", "a\nb\nfa\nfb\n", 0},
		{"docker fail 0; grep '[' in", "", 2},
		{"docker fail 0; grep -c of in; grep -vc of in", "1\n0\n", 1},
		{"docker fail 0; grep of none; grep of in in", "", 2},
		{"docker fail 0; grep of", "", 1},
		{"docker fail 0; printf -- '-%s' x; grep a none || echo $?", "-x2\n", 0},
		{"docker fail 0; printf '1\n2\n3' > out; head -n 2 out; cat out | head -2; head out; head -n 0 out; head -n -1 out", "1\n2\n1\n2\n1\n2\n3", 2},
		{"docker fail 0; printf 'a=1\\r\\nb\\r\\n' > out; grep a out; cut -d= -f2 out; head -1 out", "a=1\r\n1\r\nb\r\na=1\r\n", 0},
		{"docker fail 0; printf 'a:b:c:d\nnone\n' | cut -d : -f 2,4-; echo 'a b c' | cut -d' ' -f -2; printf 'a\tb\n' | cut -f2", "b:d\nnone\na b\nb\n", 0},
		{"docker fail 0; cut -d : -f 0 in", "", 2},
		{"docker fail 0; cut -d : -f 3-2 in", "", 2},
		{"docker fail 0; cut -d : -f - in", "", 2},
		{"docker fail 0; cut -d '' -f 1 in", "", 2},
		{"docker fail 0; grep " + strings.Repeat("x", maxPattern+1) + " in", "", 2},
		{"docker ps | grep docker | head -n 1", `true ["docker" "ps"]` + "\n", 0},
		{"docker fail 0; echo a > /etc/passwd", "", 1},
		{"docker fail 0; echo a > ../../etc/passwd", "", 1},
		{"docker fail 0; cat < ''", "", 1},
		{"docker fail 0; sleep 0 0.0s; echo a 1>&2", "", 0},
		{"docker fail 0; for i in " + strings.Repeat("a ", 100) + "; do for j in " + strings.Repeat("b ", 100) + "; do true; done; done", "", -1},
		{"docker fail 0; X=aaaaaaaaaaaaaaaa; for i in " + strings.Repeat("a ", 30) + "; do X=$X$X; done", "", -1},
		{"docker fail 0; for i in " + strings.Repeat("a ", 4000) + "; do true; done", "", 0},
	} {
		if code, out, errOut, failure := runText(t, tt.text); code != tt.code || out != tt.out || (code == 0) != (failure == "") {
			t.Errorf("%.200s: got code %d, output %q and error %q (%s), want code %d and output %q", tt.text, code, out, failure, errOut, tt.code, tt.out)
		}
	}
}

func TestDate(t *testing.T) {
	before := time.Now().UTC()
	_, out, _, failure := runText(t, "docker fail 0; date +%Y-%m-%dT%H:%M:%S%%; date -u '+%F %T %s %j %N'; date")
	lines := strings.Split(out, "\n")
	got, err := time.Parse("2006-01-02T15:04:05%", lines[0])
	if err != nil || got.Before(before.Truncate(time.Second)) || got.After(time.Now()) || failure != "" {
		t.Errorf("got output %q and error %v %s, want the time", out, err, failure)
	}
	var seconds int64
	if _, err := fmt.Sscanf(lines[1][len("2006-01-02 15:04:05 "):], "%d", &seconds); err != nil || seconds < before.Unix() {
		t.Errorf("got %q, want seconds from %d", lines[1], before.Unix())
	}
	if _, err := time.Parse("Mon Jan _2 15:04:05 MST 2006", lines[2]); err != nil {
		t.Errorf("got %q: %v", lines[2], err)
	}
	for _, text := range []string{"date +%Q", "date -d yesterday"} {
		if code, _, errOut, _ := runText(t, "docker fail 0; "+text); code != 2 || !strings.Contains(errOut, "not supported") {
			t.Errorf("%s: got code %d and error %q, want 2 and not supported", text, code, errOut)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"docker a &":                              "& is not supported outside of quotes",
		"docker a && while true; do true; done":   "while or until is not supported outside of quotes, at column 13",
		"docker a\nf() { true; }":                 "a function is not supported outside of quotes, at line 2, column 1",
		"docker a; (true)":                        "( is not supported outside of quotes, at column 11",
		"docker a; case a in a) true;; esac":      "case is not",
		"docker a; for i; do true; done":          "for without in",
		"docker a; X=1 docker b":                  "an assignment before a command",
		"docker a 3>b":                            "3> is not",
		"docker a <&3":                            "<& is not",
		"docker a >&-":                            ">& is not",
		"docker a $((1))":                         "$(( is not",
		"docker a 'b":                             ErrUnclosed.Error(),
		"docker a; )":                             "`)`",
		strings.Repeat("(", 100_000):              "too many brackets",
		"docker " + strings.Repeat("$(", 100_000): "too many brackets",
		strings.Repeat("a", maxText+1):            "1 MiB",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: got error %v, want one with %q", text, err, want)
		}
	}
}

func TestCommands(t *testing.T) {
	text, err := Parse("app:$T $(docker x) && echo a | docker b $(date) || { cat c; X=1; az acr import; }")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = text.Commands([]string{"T=1"}, func(words []string, first bool) error {
		got = append(got, fmt.Sprint(first, words))
		if words[0] == "az" {
			return errors.New("not here")
		}
		return nil
	})
	want := "[true [app:1 $(docker x)] false [docker x] false [docker b $(date)] false [az acr import]]"
	if fmt.Sprint(got) != want || err == nil || err.Error() != "not here, at column 66 of the text" {
		t.Errorf("got commands %v and error %v, want %s and one at column 66", got, err, want)
	}
}

func TestUnset(t *testing.T) {
	text, err := Parse("docker $A $B \"$C ${D:-d}\" '$E' \\$F $1; X=$Y; export Z=1; echo $X $Z; for i in a; do echo $i $C; done")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(text.Unset([]string{"A=1"})); got != "[B C D Y]" {
		t.Errorf("got %s, want [B C D Y]", got)
	}
}

// A text that is interrupted ends with the cause.
func TestRunInterrupted(t *testing.T) {
	text, err := Parse("docker fail 0; sleep 1000; echo no")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stop")
	cancel(cause)
	var out bytes.Buffer
	code, err := text.Run(ctx, fakeHost{}, ".", nil, Streams{strings.NewReader(""), &out, &out})
	if code != -1 || !errors.Is(err, cause) || out.Len() > 0 {
		t.Errorf("got code %d, error %v and output %q, want -1 and %v", code, err, out.String(), cause)
	}
}

// hostileWorkspace makes a workspace with links out of it, to "outside" beside it.
func hostileWorkspace(t *testing.T, dir string) *os.Root {
	t.Helper()
	outside := filepath.Join(filepath.Dir(dir), "outside")
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "dir"), 0o700), os.WriteFile(outside, []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(dir, "in"), []byte("of the file\n"), 0o600), os.Symlink(outside, filepath.Join(dir, "link")),
		os.Symlink("../outside", filepath.Join(dir, "relative")), os.Symlink("..", filepath.Join(dir, "up")),
		os.Symlink("../outside2", filepath.Join(dir, "absent")), os.Symlink("loop", filepath.Join(dir, "loop")))
	root, rootErr := os.OpenRoot(dir)
	if err = errors.Join(err, rootErr); err != nil {
		t.Fatal(err)
	}
	return root
}

// A text ends with a code or an error, and changes no file outside of the workspace.
func FuzzRun(f *testing.F) {
	for _, s := range []string{"a 'b c' \"d\\\"e\" f\\ g", "docker a && echo b > c", `x "$(echo "a b")"`, "x; for i in a b; do [ $i = a ] || echo $i; done",
		"x <<E\n$A\nE", "x <<-'E'\n\t$A\n\tE", "x | cat | cat", "x; if test -e a; then b=1; else cd dir; fi", "x; export A=1; printf '%s' $A", "x; echo a > link",
		"x; cat link >> link/../link 2>&1", "x\r\n; echo \x00 `cat <in`", "x; cd dir; cat < ../../outside", "x; A=$(printf '%d\\n' 1); ! echo ${A} $? ${B:-c}",
		"x; date +%s%N; exit 300", "x; grep -o 'a\\+[^b]' in | head -1 | cut -d' ' -f 2- >out", "x; { echo a; } > dir/../out 2> /dev/null", "x \\\n$((1)) ~a é\"\xff"} {
		f.Add(s)
	}
	outer := f.TempDir()
	dir := filepath.Join(outer, "workspace")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil || strings.Contains(text, "sleep") || parsed.Commands(nil, func([]string, bool) error { return nil }) != nil {
			return
		}
		parsed.Unset(nil)
		root := hostileWorkspace(t, dir)
		defer root.Close()
		code, err := parsed.Run(t.Context(), fakeHost{root}, ".", nil, Streams{strings.NewReader(""), io.Discard, io.Discard})
		if (code == 0) != (err == nil) {
			t.Errorf("%q: got code %d and error %v, want both or neither", text, code, err)
		}
		if files, err := os.ReadDir(outer); err != nil || len(files) != 2 {
			t.Errorf("%q: got files %v and error %v, want only the workspace and the file", text, files, err)
		}
		if content, err := os.ReadFile(filepath.Join(outer, "outside")); err != nil || string(content) != "secret" {
			t.Errorf("%q: got file %q and error %v, want it unchanged", text, content, err)
		}
	})
}
