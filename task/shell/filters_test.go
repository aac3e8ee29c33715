package shell

import (
	"os"
	"path/filepath"
	"testing"
)

// What a builtin prints about its flags is in the streams of the text, not in those of this program.
func TestFlagsPrintNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stderr := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = stderr }()
	for _, command := range []string{"grep", "head", "cut"} {
		if code, _, errOut, _ := runText(t, "docker fail 0; "+command+" --help"); code != 2 || errOut == "" {
			t.Errorf("%s --help: got code %d and error output %q, want 2 and an error", command, code, errOut)
		}
	}
	if got, err := os.ReadFile(name); err != nil || len(got) > 0 {
		t.Errorf("got %q and error %v in the standard error of the program, want nothing", got, err)
	}
}
