package store

import (
	"fmt"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/manifest"
)

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("one-of-%d", n), func(b *testing.B) { benchmarkUpdate(b, n, false) })
		b.Run(fmt.Sprintf("all-of-%d", n), func(b *testing.B) { benchmarkUpdate(b, n, true) })
	}
}

// benchmarkUpdate changes a list of n entries: one of them, or a fact of the list, which all repeat.
func benchmarkUpdate(b *testing.B, n int, all bool) {
	s, list := benchmarkStore(b, n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		err := s.Update(b.Context(), list.Name, func(l manifest.List) (manifest.List, error) {
			a := manifest.Annotation{Descriptor: map[string]string{"i": fmt.Sprint(i)}}
			if all {
				a = manifest.Annotation{List: map[string]string{"i": fmt.Sprint(i)}}
			}
			return l.Annotate(n/2, a)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, list := benchmarkStore(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(list.Name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkStore(b *testing.B, n int) (*Store, manifest.List) {
	s := New(b.TempDir())
	list := manifest.List{Name: named(b, "example.com/bench:1")}
	for i := range n {
		list.Entries = append(list.Entries, image(b, fmt.Sprintf("example.com/bench:%d", i)))
	}
	if err := s.Replace(b.Context(), list); err != nil {
		b.Fatal(err)
	}
	return s, list
}
