package store

import (
	"errors"
	"os"
	"path/filepath"
)

// moveAside exchanges the folders fresh and list by renaming. For a moment the old list only exists under the aside
// name, where readers look for it and from which the next writer restores it.
func moveAside(fresh, list string) error {
	root, name := filepath.Split(list)
	aside := filepath.Join(root, asidePrefix+name)
	if err := os.Rename(list, aside); err != nil {
		return err
	}
	if err := os.Rename(fresh, list); err != nil {
		return errors.Join(err, os.Rename(aside, list))
	}
	// The new list is in its place; an old one that stays aside is removed by the next writer.
	_ = os.Rename(aside, fresh)
	return nil
}
