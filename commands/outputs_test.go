package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A folder with more files than are read is an error, even if many of them are hidden.
func TestOutputFilesOfLargeFolder(t *testing.T) {
	folder := t.TempDir()
	for i := range maxOutputs + 1 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf(".%d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := outputFiles(hostFiles{}, folder, 2); !errors.Is(err, errTooManyOutputs) {
		t.Errorf("got %v, %v, want %v", files, err, errTooManyOutputs)
	}
}
