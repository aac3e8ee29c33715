package task

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"alpine", []string{"alpine"}},
		{"  alpine \n  echo  a\t", nil},
		{" alpine  echo\ta\n", []string{"alpine", "echo", "a"}},
		{"alpine \\\n  echo", []string{"alpine", "echo"}},
		{`alpine 'a b' "c d" e\ f`, []string{"alpine", "a b", "c d", "e f"}},
		{`alpine "" ''`, []string{"alpine", "", ""}},
		{`a"b c"'d e'f`, []string{"ab cd ef"}},
		{`alpine "a\"b\\c\d" 'a\b' a\"b\\c`, []string{"alpine", `a"b\c\d`, `a\b`, `a"b\c`}},
		{`alpine $x ${y} "$z" '$z' \$x $`, []string{"alpine", "$x", "${y}", "$z", "$z", "$x", "$"}},
		{`alpine ${x:-a b}`, []string{"alpine", "${x:-a b}"}},
		{`alpine sh -c "exit; echo \"$x\""`, []string{"alpine", "sh", "-c", `exit; echo "$x"`}},
		{"alpine sh -c 'a | b > c &\nd'", []string{"alpine", "sh", "-c", "a | b > c &\nd"}},
		{"A=1 if { alpine ! }", []string{"A=1", "if", "{", "alpine", "!", "}"}},
		{"alpine a=b * ~ {a,b} [x] a#b", []string{"alpine", "a=b", "*", "~", "{a,b}", "[x]", "a#b"}},
		{"alpine # what it does", []string{"alpine"}},
		{"älpine 'ö ü' \"é$x\"", []string{"älpine", "ö ü", "é$x"}},
	} {
		got, err := words(tt.text)
		if tt.want == nil && tt.text != "" {
			if err == nil {
				t.Errorf("%q is %q", tt.text, got)
			}
			continue
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got words %q and error %v, want %q", tt.text, got, err, tt.want)
		}
		if again, err := words(Quote(got)); err != nil || !slices.Equal(again, got) {
			t.Errorf("words of %q: got %q and error %v, want %q", Quote(got), again, err, got)
		}
	}
}

func TestWordsRefusesShellSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"a && b": "several", "a | b": "several", "a; b": "several", "a &": "&", "a > b": "redirections",
		"a << b": "here-document", "a\nb": "several", "a $(b)": "$(", "a \"b$(c)d\"": "$(",
		"a `b`": "$(", "a $((1))": "$((", "a (b)": "`(`", "(a)": "( is not", "() { a; }": "( is not",
		"a 'b": "unclosed", `a "b`: "unclosed", "a ${b": "unclosed", "a )": "`)`", "a ${b!}": "`!`",
	} {
		got, err := words(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got words %q and error %v, want an error with %q", text, got, err, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{`a 'b c' "d\"e" f\ g`, "a && b", `"$(a "b")"`, "${x:-'a'}", "\\", "a\\\nb", "`", "$'a'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := words(text)
		if err != nil || strings.ContainsAny(text, "\x00\r") { // shells handle these differently
			return
		}
		if again, err := words(Quote(all)); err != nil || !slices.Equal(again, all) {
			t.Errorf("words of %q: got %q and error %v, want %q", Quote(all), again, err, all)
		}
	})
}
