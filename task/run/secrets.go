package run

import (
	"archive/tar"
	"bytes"
	"encoding/csv"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-multiarch/docker-multiarch/task"
)

// secrets writes the secret volumes of a build step to a folder in that of the run, which no container gets, and changes the
// build's --secret flags for files in them accordingly. The folder is "" if the step has none.
func (e *Executor) secrets(step task.Step, b *task.Build) (folder string, err error) {
	b.Flags = slices.Clone(b.Flags) // those of the file are needed for the next attempt
	for _, m := range step.Mounts {
		i := slices.IndexFunc(e.File.Volumes, func(v task.Volume) bool { return v.Name == m.Volume })
		if i < 0 || len(e.File.Volumes[i].Files) == 0 {
			continue
		}
		if folder == "" {
			if folder, err = os.MkdirTemp(e.Folder, "secrets-"); err != nil {
				return "", err
			}
		}
		own := filepath.Join(folder, m.Volume)
		if err := writeFiles(own, e.File.Volumes[i].Files); err != nil {
			return "", errors.Join(err, os.RemoveAll(folder))
		}
		for i, flag := range b.Flags {
			b.Flags[i] = moveSecret(flag, m.Path, own)
		}
	}
	return folder, nil
}

func writeFiles(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// moveSecret returns a --secret flag with its file in the folder 'to' if it was in 'from'; others are unchanged.
func moveSecret(flag, from, to string) string {
	value, ok := strings.CutPrefix(flag, "--secret=")
	if !ok {
		return flag
	}
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return flag
	}
	for i, field := range fields {
		key, file, _ := strings.Cut(field, "=")
		if rest, ok := strings.CutPrefix(path.Clean(file), path.Clean(from)+"/"); ok && (key == "src" || key == "source") {
			fields[i] = key + "=" + filepath.Join(to, filepath.FromSlash(rest))
		}
	}
	var moved strings.Builder
	w := csv.NewWriter(&moved)
	if err := w.Write(fields); err != nil {
		return flag
	}
	w.Flush()
	return "--secret=" + strings.TrimSuffix(moved.String(), "\n")
}

// secretFiles returns a tar archive of files.
func secretFiles(files map[string][]byte) *bytes.Buffer {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: int64(len(files[name])), Typeflag: tar.TypeReg}) // a buffer
		_, _ = w.Write(files[name])
	}
	_ = w.Close()
	return &b
}
