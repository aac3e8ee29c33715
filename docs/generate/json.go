package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// jsonIntro precedes the fields.
const jsonIntro = `<!-- Written by 'make docs' from the comments of the fields. -->

# JSON output

What scripts can rely on, in all output below:

- The names and the meaning of the fields stay. New fields, events and kinds may be added: ignore those that you do not
  know. The order of fields, and white space, may change.
- A field that is *optional* is absent if it is empty, zero, false or not known. All others are always there.
- Messages, texts, hints and errors are for people: their wording may change.
- Sizes are in bytes, times as in RFC 3339. A descriptor is
  [that of OCI](https://github.com/opencontainers/image-spec/blob/main/descriptor.md).

Below, ` + "`[]`" + ` stands for each element of a list, as in jq, which needs quotes where a name has a dot.
`

// jsonOutput is a kind of JSON output: a type of a package, whose fields are listed.
type jsonOutput struct {
	title        string
	flags        []string // the commands and flags that write it
	text         string
	folder, name string
}

var jsonOutputs = []jsonOutput{
	{"inspect", []string{"inspect --format json"}, "One object. With `--sbom` and `--provenance` it is what was attached, or an object of these by platform.", "manifest/inspect", "View"},
	{"inspect -v", []string{"inspect --verbose"}, "One object for an image, a list of objects for a list. This is the output of `docker manifest inspect -v`, and\n" +
		"stays like it; `inspect` without flags prints the JSON of `docker manifest inspect`.", "manifest", "ImageManifest"},
	{"diff", []string{"diff --format json"}, "One object.", "manifest/inspect", "Difference"},
	{"verify", []string{"verify --format json"}, "An object on a line for each name.", "verify", "Result"},
	{"ls", []string{"ls --format json"}, "An object on a line for each list.", "display", "listJSON"},
	{"repo ls", []string{"repo ls --format json"}, "An object on a line for each repository.", "display", "repositoryJSON"},
	{"repo manifests", []string{"repo manifests --format json"}, "An object on a line for each manifest.", "repository", "Record"},
	{"repo tags", []string{"repo tags --format json"}, "An object on a line for each tag, with what it points to.", "repository", "TagRecord"},
	{"repo show", []string{"repo show --format json"}, "One object.", "repository", "Shown"},
	{"Plans", []string{"repo purge --format json"}, "An object on a line for each tag or manifest to remove; with `--force`, for each that was removed.", "display", "planJSON"},
	{"Records", []string{"repo purge --record", "repo rm --record", "repo untag --record"}, "An object on a line for each tag and manifest that is going to be removed. `repo restore` reads the file.", "repository", "Recorded"},
	{"task graph", []string{"task graph --format json"}, "A list of objects, one for each step.", "task", "Node"},
	{"task validate", []string{"task validate --format json"}, "An object on a line for each finding.", "task", "Finding"},
	{"Metadata files", []string{"create --metadata-file", "push --metadata-file", "import --metadata-file", "tag --metadata-file"},
		"One object, with the names that `docker buildx` uses.", "commands", "imageMetadata"},
	{"Metadata files of runs", []string{"task run --metadata-file"}, "One object.", "commands", "runMetadata"},
	{"Progress", []string{"create --progress", "push --progress", "import --progress", "tag --progress"},
		"With `--progress json`, on standard error: an object on a line for each step of the transfer of a blob. Objects with\n`event` are [messages](#messages).", "display", "transferJSON"},
	{"Messages", nil, "With `--progress json`, on standard error, an object on a line for each note, warning and error.", "display", "message"},
	{"Progress of runs", []string{"task run --progress"},
		"With `--progress json`, on standard error: an object on a line for each event. The events note, warning and error are\n[messages](#messages).", "display", "stepJSON"},
}

// writeJSON returns the page with the fields of all JSON output.
func writeJSON() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	s := newSources(filepath.Dir(strings.TrimSpace(string(mod))))
	var b strings.Builder
	b.WriteString(jsonIntro)
	for _, o := range jsonOutputs {
		fmt.Fprintf(&b, "\n## %s\n\n", o.title)
		if len(o.flags) > 0 {
			fmt.Fprintf(&b, "`docker multiarch %s`\n\n", strings.Join(o.flags, "`, `"))
		}
		fmt.Fprintf(&b, "%s\n\n| Field | Type | Meaning |\n|---|---|---|\n", o.text)
		clear(s.described)
		for _, other := range jsonOutputs {
			if other.title != o.title {
				s.described[other.folder+"."+other.name] = "[" + other.title + "](#" + strings.ReplaceAll(strings.ToLower(other.title), " ", "-") + ")"
			}
		}
		rows, err := s.rows(o.folder, o.name, "")
		if err != nil {
			return "", err
		}
		b.WriteString(rows)
	}
	return b.String(), nil
}

// sources are the types of the packages in folders below root.
type sources struct {
	root     string
	packages map[string]map[string]*doc.Type
	// described has where the page has the fields of structs.
	described map[string]string
}

func newSources(root string) sources {
	return sources{root, map[string]map[string]*doc.Type{}, map[string]string{}}
}

// find returns a type of the package in a folder.
func (s sources) find(folder, name string) (*doc.Type, error) {
	if s.packages[folder] == nil {
		paths, err := filepath.Glob(filepath.Join(s.root, folder, "*.go"))
		if err != nil {
			return nil, err
		}
		files, set := []*ast.File{}, token.NewFileSet()
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
		p, err := doc.NewFromFiles(set, files, folder, doc.AllDecls)
		if err != nil {
			return nil, err
		}
		s.packages[folder] = map[string]*doc.Type{}
		for _, t := range p.Types {
			s.packages[folder][t.Name] = t
		}
	}
	if t := s.packages[folder][name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("no type %s in %s", name, folder)
}

// rows returns a row for each field of a struct, under a prefix, and of the structs in it that are not described yet.
func (s sources) rows(folder, name, prefix string) (rows string, err error) {
	t, err := s.find(folder, name)
	if err != nil {
		return "", err
	}
	s.described[folder+"."+name] = "`" + strings.TrimSuffix(prefix, ".") + "`"
	for _, f := range t.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
		row := ""
		if f.Names == nil {
			embedded := f.Type.(*ast.Ident).Name
			if where := s.described[folder+"."+embedded]; where != "" {
				row = fmt.Sprintf("| | | the fields of %s |\n", where)
			} else {
				row, err = s.rows(folder, embedded, prefix)
			}
		} else if key, optional := jsonKey(f); key != "" {
			row, err = s.row(folder, f, prefix+key, optional)
		}
		if err != nil {
			return "", fmt.Errorf("%s.%s: %w", folder, name, err)
		}
		rows += row
	}
	return rows, nil
}

// row returns the row of a field, and those of its own fields.
func (s sources) row(folder string, f *ast.Field, path string, optional bool) (string, error) {
	meaning := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
	if meaning == "" {
		return "", fmt.Errorf("the field %s has no comment", f.Names[0].Name)
	}
	kind, suffix, in, of := s.kind(folder, f.Type)
	if where := s.described[in+"."+of]; where != "" {
		kind, of = kind+" with the fields of "+where, ""
	}
	if optional {
		kind += ", optional"
	}
	row := fmt.Sprintf("| `%s` | %s | %s |\n", path, kind, strings.ReplaceAll(meaning, "|", `\|`))
	if of == "" {
		return row, nil
	}
	below, err := s.rows(in, of, path+suffix+".")
	return row + below, err
}

// jsonKey returns the name of a field in JSON, "" if it is not there, and whether it can be absent.
func jsonKey(f *ast.Field) (key string, optional bool) {
	tag := ""
	if f.Tag != nil {
		tag, _ = strconv.Unquote(f.Tag.Value)
	}
	key, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	switch {
	case key == "-" || !f.Names[0].IsExported():
		return "", false
	case key == "":
		key = f.Names[0].Name
	}
	return key, options != ""
}

// jsonKinds are the types of JSON.
var jsonKinds = map[string]string{
	"string": "string", "bool": "boolean", "int": "number", "int64": "number", "float64": "number", "digest.Digest": "digest",
	"time.Time": "time", "json.RawMessage": "object", "ocispec.Descriptor": "descriptor",
}

// kind describes a type, and returns what follows the name of a field to reach its elements. If it has fields, in and of
// are the folder and name of their struct.
func (s sources) kind(folder string, e ast.Expr) (kind, suffix, in, of string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.kind(folder, e.X)
	case *ast.MapType:
		kind, suffix, in, of = s.kind(folder, e.Value)
		return "object of " + plural(kind), ".*" + suffix, in, of
	case *ast.ArrayType:
		if name, ok := e.Elt.(*ast.Ident); ok && name.Name == "byte" {
			return "string in base64", "", "", ""
		}
		kind, suffix, in, of = s.kind(folder, e.Elt)
		return "list of " + plural(kind), "[]" + suffix, in, of
	case *ast.SelectorExpr:
		at := e.X.(*ast.Ident).Name
		if kind := jsonKinds[at+"."+e.Sel.Name]; kind != "" {
			return kind, "", "", ""
		}
		return s.kind(at, e.Sel)
	}
	name := e.(*ast.Ident).Name
	if kind := jsonKinds[name]; kind != "" {
		return kind, "", "", ""
	}
	t, err := s.find(folder, name)
	if err != nil {
		return "object", "", folder, name
	}
	var values []string
	for _, group := range t.Consts {
		for _, spec := range group.Decl.Specs {
			values = append(values, "`"+spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value+"`")
		}
	}
	if len(values) > 0 {
		return strings.Join(values, ", "), "", "", ""
	}
	return "object", "", folder, name
}

func plural(kind string) string {
	first, rest, _ := strings.Cut(kind, " ")
	return strings.TrimSuffix(first+"s "+rest, " ")
}
