package repository

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// boundedSteps is how many steps a purge with a bound in time carries out at least before it looks at the time.
const boundedSteps = 64

func (r *remover) isBounded() bool { return r.MaxDeletes > 0 || r.MaxTime > 0 }

// admit lets a bounded purge carry out more steps once those are carried out that it was let to, unless it has met its
// bound. Steps are admitted by their units, so that nothing stays behind that no tag leads to.
func (r *remover) admit(left []Step) {
	if !r.isBounded() || r.stopped != "" || slices.ContainsFunc(left, func(s Step) bool { return r.admitted[s.key()] }) {
		return
	}
	units := map[int][]Step{}
	for _, step := range left {
		units[step.unit] = append(units[step.unit], step)
	}
	admitted := 0
	for _, unit := range slices.Sorted(maps.Keys(units)) {
		steps := units[unit]
		switch {
		case r.MaxTime > 0 && time.Since(r.started) >= r.MaxTime:
			r.stopped = fmt.Sprintf("after --max-time %s", r.MaxTime)
		case r.MaxDeletes > 0 && len(r.admitted)+len(steps) > r.MaxDeletes:
			r.stopped = fmt.Sprintf("after %d deletions, since the next %d, which belong together, exceed --max-deletes %d", len(r.admitted), len(steps), r.MaxDeletes)
		}
		if r.stopped != "" || r.MaxTime > 0 && admitted >= boundedSteps {
			return
		}
		for _, step := range steps {
			r.admitted[step.key()] = true
			admitted++
		}
	}
}
