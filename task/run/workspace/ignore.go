package workspace

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const ignoreName = ".dockerignore"

// ignored returns the names of files and folders that .dockerignore hides, without those in keep.
func (f folder) ignored(ctx context.Context, keep []string) ([]string, error) {
	info, err := f.Stat(ignoreName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		return nil, err
	}
	file, err := f.Open(ignoreName)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil || len(patterns) == 0 {
		return nil, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	names, _, err := f.matching(ctx, matcher, append(keep, ignoreName), ".")
	return names, err
}

// matching returns what matches in dir, and whether that is all of dir. Of a folder that matches as a whole only the folder is
// returned.
func (f folder) matching(ctx context.Context, matcher *patternmatcher.PatternMatcher, keep []string, dir string) (names []string, all bool, err error) {
	entries, err := fs.ReadDir(f.FS(), dir)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, false, err
	}
	all = true
	for _, d := range entries {
		name := path.Join(dir, d.Name())
		matches, err := matcher.MatchesOrParentMatches(name)
		if err != nil {
			return nil, false, err
		}
		kept := slices.ContainsFunc(keep, func(k string) bool { return within(k, name) })
		var below []string
		belowAll := !kept
		if d.IsDir() && (!matches || kept || matcher.Exclusions()) {
			if below, belowAll, err = f.matching(ctx, matcher, keep, name); err != nil {
				return nil, false, err
			}
		}
		if matches && belowAll {
			names = append(names, name)
		} else {
			names, all = append(names, below...), false
		}
	}
	return names, all, nil
}
