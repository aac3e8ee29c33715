//go:build !linux

package store

// exchange exchanges the folders fresh and list.
func exchange(fresh, list string) error { return moveAside(fresh, list) }
