package store

import (
	"errors"
	"os"
	"path/filepath"
)

// moveAside puts the folder fresh in the place of the folder list, and that in the place of fresh. For a
// moment there is only the aside name, where readers look for the list and from which the next writer
// brings it back.
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
