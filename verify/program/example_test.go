package program_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"

	"github.com/docker-multiarch/docker-multiarch/verify/program"
)

func Example() {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	_ = w.WriteHeader(&tar.Header{Name: "usr/bin/app", Mode: 0o755, Size: 20})
	_, _ = w.Write([]byte("\x7fELF\x02\x01" + "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x3e\x00")) // for amd64
	_ = w.Close()

	l, err := program.ReadLayer(&layer, false, program.NewBudget(1000))
	if err != nil {
		fmt.Println(err)
		return
	}
	command := program.Command{OS: "linux", Args: []string{"/bin/sh", "-c", "app --verbose"}}
	_, missing := program.Find(context.Background(), command, []*program.Layer{l})
	fmt.Println(missing[0].Reason)

	command.Args = []string{"app", "--verbose"}
	found, _ := program.Find(context.Background(), command, []*program.Layer{l})
	for _, f := range found {
		fmt.Println(f.Path, "is", f.Program)
		fmt.Println(f.Program.RunsOn("linux", "arm64") == program.Incompatible)
	}
	// Output:
	// /bin/sh is not in the image
	// /usr/bin/app is a program for amd64 (ELF)
	// true
}
