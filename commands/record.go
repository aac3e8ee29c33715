package commands

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/repository"
)

// recordFile is the file that a removal is recorded in.
type recordFile struct{ file *os.File }

// openRecord opens a file to append to; without a path nothing is recorded.
func openRecord(in files, path string) (recordFile, error) {
	if path == "" {
		return recordFile{}, nil
	}
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

// recorder is nil if nothing is recorded.
func (r recordFile) recorder() func(...repository.Recorded) error {
	if r.file == nil {
		return nil
	}
	return r.Add
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
	_, err := r.file.Write(out)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("stopped removing: writing the record: %w", err)
	}
	return nil
}

// interrupted reports how to restore what an interrupted command has removed.
func (r recordFile) interrupted(t tools, err error) {
	if r.file != nil && errdefs.IsCanceled(err) {
		t.reporter.Note("To restore what was removed: docker multiarch repo restore %s", r.file.Name())
	}
}

// Close ends the record.
func (r recordFile) Close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}
