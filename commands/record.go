package commands

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/repository"
)

// recorded calls remove with a function that records what is removed in a file, see openRecord, and that is nil without a
// path. It reports how to restore what was removed if that was interrupted.
func recorded(env environment, path string, remove func(t tools, record func(...repository.Recorded) error) error) error {
	if path == "" {
		return remove(newTools(env, false), nil)
	}
	record, err := openRecord(env.files(), path)
	if err != nil {
		return err
	}
	defer record.Close()
	t := newTools(env, false)
	err = remove(t, record.Add)
	if errdefs.IsCanceled(err) {
		t.reporter.Note("To restore what was removed: docker multiarch repo restore %s", record.Name())
	}
	return err
}

// recordFile is the file that a removal is recorded in.
type recordFile struct{ *os.File }

// openRecord opens a file to append to.
func openRecord(in files, path string) (recordFile, error) {
	file, err := in.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return recordFile{}, err
	}
	last := make([]byte, 1)
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		if _, err = file.ReadAt(last, info.Size()-1); err != nil || last[0] != '\n' {
			_ = file.Close()
			return recordFile{}, invalid("--record: %s exists and is not a record; pass another file", path)
		}
	}
	return recordFile{file}, nil
}

// Add appends lines and waits for the disk.
func (r recordFile) Add(lines ...repository.Recorded) error {
	var out []byte
	for _, line := range lines {
		raw, err := json.Marshal(line)
		if err != nil {
			return err
		}
		out = append(append(out, raw...), '\n')
	}
	_, err := r.Write(out)
	if err == nil {
		err = r.Sync()
	}
	if err != nil {
		return fmt.Errorf("stopped removing: writing the record: %w", err)
	}
	return nil
}
