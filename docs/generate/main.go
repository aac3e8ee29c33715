// Command generate writes the reference pages and man pages of 'docker multiarch' from its commands, and the page about its
// JSON output from the types of this output, into the folder that is its argument.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker-multiarch/docker-multiarch/commands"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	err := errors.New("usage: generate FOLDER")
	if len(os.Args) == 2 {
		err = generate(os.Args[1])
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generate writes reference/*.md, man/*.1 and json.md under dir.
func generate(dir string) error {
	cli, err := command.NewDockerCli()
	if err != nil {
		return err
	}
	root := commands.NewRootCommand(cli)
	docker := &cobra.Command{Use: "docker", Short: "The base command for the Docker CLI", DisableAutoGenTag: true}
	docker.AddCommand(root)
	plain(root)

	text, err := writeJSON()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "json.md"), []byte(text), 0o644)
	}
	if err != nil {
		return err
	}
	reference, man := filepath.Join(dir, "reference"), filepath.Join(dir, "man")
	for _, d := range []string{reference, man} {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := doc.GenMarkdownTreeCustom(root, reference, func(string) string { return "" }, link); err != nil {
		return err
	}
	return writeMan(man, root)
}

// link leads to docker's own page for the parent of our commands.
func link(page string) string {
	if page == "docker.md" {
		return "https://docs.docker.com/reference/cli/docker/"
	}
	return page
}

// plain takes out of the pages what depends on the day they are made, and what docker does not show.
func plain(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.DisableFlagsInUseLine = true
	for _, c := range cmd.Commands() {
		plain(c)
	}
}
