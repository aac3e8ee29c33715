//go:build !linux

package store

// exchange puts the folders fresh and list in each other's place.
func exchange(fresh, list string) error { return moveAside(fresh, list) }
