package store_test

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/errdefs"

	"github.com/docker-multiarch/docker-multiarch/manifest"
	"github.com/docker-multiarch/docker-multiarch/manifest/store"
)

// Update is how a list is created, changed and, with a result without entries, removed.
func ExampleStore_Update() {
	root, err := os.MkdirTemp("", "manifests-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	name, _ := manifest.ParseName("registry.example.com/app:1")
	image, _ := manifest.ParseName("app:amd64")
	lists := store.New(root)
	err = lists.Update(context.Background(), name, func(old manifest.List) (manifest.List, error) {
		return old.With(manifest.Entry{Ref: image, Source: image}), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := lists.Get(name)
	fmt.Println(len(list.Entries), list.Entries[0].IsPending(), err)
	if err := lists.Remove(context.Background(), name); err != nil {
		fmt.Println(err)
	}
	_, err = lists.Get(name)
	fmt.Println(errdefs.IsNotFound(err))
	// Output:
	// 1 true <nil>
	// true
}
