package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/publish"
)

// maxOutputs bounds the files of --digests.
const maxOutputs = 1000

var errTooManyOutputs = fmt.Errorf("more than %d files", maxOutputs)

// readOutputs returns the sources for a list that the files of --digests name.
func readOutputs(env environment, paths []string, list reference.Named) ([]publish.Source, manifest.Diagnostics, error) {
	var files []string
	for _, path := range paths {
		below, err := outputFiles(env.files(), path, 2)
		switch {
		case err != nil:
			return nil, nil, invalid("--digests: %w", err)
		case len(below) == 0:
			return nil, nil, invalid("--digests: %s has no files", path)
		}
		if files = append(files, below...); len(files) > maxOutputs {
			return nil, nil, invalid("--digests: %w", errTooManyOutputs)
		}
	}
	var sources []publish.Source
	var diagnostics manifest.Diagnostics
	for _, file := range files {
		raw, err := readFile(env.files(), file)
		if err != nil {
			return nil, nil, invalid("--digests: %w", err)
		}
		found, noted, err := publish.ParseOutput(file, raw, list)
		if err != nil {
			return nil, nil, invalid("--digests: %w", err)
		}
		sources, diagnostics = append(sources, found...), append(diagnostics, noted...)
	}
	return sources, diagnostics, nil
}

// outputFiles returns a file, or the files of a folder and of those below it in as many levels. Hidden ones are skipped.
func outputFiles(in files, path string, levels int) ([]string, error) {
	info, err := in.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().IsRegular():
		return []string{path}, nil
	case !info.IsDir():
		return nil, invalid("%s is neither a file nor a folder", path)
	case levels == 0:
		return nil, nil
	}
	folder, err := in.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(maxOutputs + 1)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(names) > maxOutputs: // the others are unknown
		return nil, errTooManyOutputs
	}
	slices.Sort(names)
	var files []string
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		below, err := outputFiles(in, filepath.Join(path, name), levels-1)
		if files = append(files, below...); err != nil {
			return nil, err
		}
		if len(files) > maxOutputs {
			return nil, errTooManyOutputs
		}
	}
	return files, nil
}
