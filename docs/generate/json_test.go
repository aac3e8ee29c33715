package main

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/commands"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// The page has each flag of each command that writes JSON, and no other.
func TestJSONOutputsAreComplete(t *testing.T) {
	cli, err := command.NewDockerCli()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		name := strings.TrimPrefix(cmd.CommandPath(), "multiarch ")
		for _, flag := range []string{"--format", "--metadata-file", "--progress", "--record"} {
			if cmd.Flags().Lookup(flag[2:]) == nil {
				continue
			}
			if flag == "--format" {
				flag += " json"
			}
			want = append(want, name+" "+flag)
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(commands.NewRootCommand(cli))
	got := []string{}
	for _, o := range jsonOutputs {
		got = append(got, o.flags...)
	}
	want = append(want, "inspect --verbose")
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestJSONKey(t *testing.T) {
	for _, tt := range []struct {
		field, key string
		optional   bool
	}{
		{"Name string", "Name", false},
		{"Name string `json:\"name\"`", "name", false},
		{"Name string `json:\"name,omitempty\"`", "name", true},
		{"Name string `json:\",omitempty\"`", "Name", true},
		{"Name string `json:\"-\"`", "", false},
		{"name string", "", false},
	} {
		e, err := parser.ParseExpr("struct{ " + tt.field + " }")
		if err != nil {
			t.Fatal(err)
		}
		key, optional := jsonKey(e.(*ast.StructType).Fields.List[0])
		if key != tt.key || optional != tt.optional {
			t.Errorf("%s: got %q, optional %v, want %q, %v", tt.field, key, optional, tt.key, tt.optional)
		}
	}
}

// Fields of structs, lists and maps are reached by their paths; a struct that contains itself is described once; a field
// without a comment is an error.
func TestJSONRows(t *testing.T) {
	const source = `package p

type A struct {
	B           // embedded
	C *C        ` + "`json:\"c,omitempty\"`" + ` // a | b
	M map[string][]C ` + "`json:\"m\"`" + ` // more
	S State     ` + "`json:\"s\"`" + ` // state
}

type B struct {
	Raw []byte // bytes
}

type C struct {
	Below []C ` + "`json:\"below\"`" + ` // its own
	internal int
}

type D struct{ Bare string }

type State string

const (
	On  State = "on"
	Off State = "off"
)
`
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "p"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "p", "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSources(root)
	got, err := s.rows("p", "A", "")
	want := strings.Join([]string{
		"| `Raw` | string in base64 | bytes |",
		"| `c` | object, optional | a \\| b |",
		"| `c.below` | list of objects with the fields of `c` | its own |",
		"| `m` | object of lists of objects with the fields of `c` | more |",
		"| `s` | `\"on\"`, `\"off\"` | state |", "",
	}, "\n")
	if err != nil || got != want {
		t.Errorf("got error %v and\n%s\nwant\n%s", err, got, want)
	}
	if _, err := s.rows("p", "D", ""); err == nil || !strings.Contains(err.Error(), "Bare") {
		t.Errorf("got error %v, want one about the field Bare, which has no comment", err)
	}
}
