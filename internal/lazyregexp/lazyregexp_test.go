package lazyregexp_test

import (
	"fmt"
	"testing"

	"github.com/docker-multiarch/docker-multiarch/internal/lazyregexp"
)

var digits = lazyregexp.New(`\d+`)

func Example() {
	fmt.Println(digits().FindString("v1.12"))
	// Output: 1
}

func TestCompiledOnce(t *testing.T) {
	if first, second := digits(), digits(); first != second {
		t.Errorf("got %p and %p, want the same expression twice", first, second)
	}
}
