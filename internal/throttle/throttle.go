// Package throttle limits the rate of requests to a handler as registries do. It is for tests and benchmarks.
package throttle

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bucket is a token bucket that is full at first.
type Bucket struct {
	// Capacity is how many requests it admits at once, PerMinute how many it admits in a minute from then on.
	Capacity, PerMinute float64
	// Windows makes it full again only at the end of each minute, and not little by little.
	Windows bool

	spent float64
	at    time.Time
}

// Take takes a token, or returns how long it takes until there is one.
func (b *Bucket) Take(now time.Time) time.Duration {
	if window := now.Truncate(time.Minute); b.Windows {
		if b.at.Before(window) {
			b.spent = 0
		}
		b.at = now
		if b.spent+1 > b.Capacity {
			return window.Add(time.Minute).Sub(now)
		}
		b.spent++
		return 0
	}
	b.spent = max(b.spent-now.Sub(b.at).Minutes()*b.PerMinute, 0)
	b.at = now
	if missing := b.spent + 1 - b.Capacity; missing > 0 {
		return time.Duration(missing / b.PerMinute * float64(time.Minute))
	}
	b.spent++
	return 0
}

// Limits are the requests that a registry admits in a minute, by class, 0 for any number.
type Limits struct{ Reads, Writes, Deletes, Referrers float64 }

// Azure are the limits that Azure Container Registry publishes for its tiers: reads and writes at
// https://docs.azure.cn/container-registry/container-registry-skus, deletions and lists of referrers for one identity.
var Azure = map[string]Limits{
	"Basic":    {1000, 100, 500, 250},
	"Standard": {3000, 500, 500, 500},
	"Premium":  {10000, 2000, 2000, 1000},
}

// Times returns the limits times f.
func (l Limits) Times(f float64) Limits {
	return Limits{l.Reads * f, l.Writes * f, l.Deletes * f, l.Referrers * f}
}

// Gate is a handler that refuses requests above the limits with 429. Each class has a bucket for the requests of a minute.
type Gate struct {
	// Next gets the requests that are admitted.
	Next   http.Handler
	Limits Limits
	// Now returns the time that the gate goes by.
	Now func() time.Time
	// After returns the value of Retry-After for a bucket that has a token again after a time, "" for none. It is the time in
	// seconds, rounded up, if After is nil.
	After func(missing time.Duration) string
	// Windows counts the requests of each minute, see [Bucket].
	Windows bool

	mu      sync.Mutex
	classes map[string]*class
}

// class is what a gate knows about the requests of a class.
type class struct {
	bucket   Bucket
	admitted []time.Time
	refused  int
}

// Seconds is the Retry-After that is the time in seconds, rounded up.
func Seconds(missing time.Duration) string {
	return strconv.Itoa(int((missing + time.Second - 1) / time.Second))
}

// classOf returns the name of the class of a request, and its limit.
func (l Limits) classOf(r *http.Request) (string, float64) {
	switch {
	case r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/uploads/"):
		return "deletes", l.Deletes
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "writes", l.Writes
	case strings.Contains(r.URL.Path, "/referrers/"):
		return "referrers", l.Referrers
	}
	return "reads", l.Reads
}

// ServeHTTP admits or refuses a request. Requests outside of /v2/ are admitted.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	missing := g.take(r)
	if missing <= 0 {
		g.Next.ServeHTTP(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	after := g.After
	if after == nil {
		after = Seconds
	}
	if value := after(missing); value != "" {
		w.Header().Set("Retry-After", value)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}`)
}

func (g *Gate) take(r *http.Request) time.Duration {
	name, limit := g.Limits.classOf(r)
	if limit == 0 || !strings.HasPrefix(r.URL.Path, "/v2/") {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.classes == nil {
		g.classes = map[string]*class{}
	}
	c, ok := g.classes[name]
	if !ok {
		c = &class{bucket: Bucket{Capacity: limit, PerMinute: limit, Windows: g.Windows}}
		g.classes[name] = c
	}
	now := g.Now()
	missing := c.bucket.Take(now)
	if missing > 0 {
		c.refused++
	} else {
		c.admitted = append(c.admitted, now)
	}
	return missing
}

// Count is what became of the requests of a class.
type Count struct {
	Admitted, Refused int
	// Used is the part of the limit that was used from a minute after the first request to the last one, 0 if that is too short
	// to tell.
	Used float64
}

// Counts returns the counts by "reads", "writes", "deletes" and "referrers".
func (g *Gate) Counts() map[string]Count {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := map[string]Count{}
	for name, c := range g.classes {
		counts[name] = Count{len(c.admitted), c.refused, c.used()}
	}
	return counts
}

// measurable is the least time that a rate is measured in.
const measurable = 15 * time.Second

func (c *class) used() float64 {
	if len(c.admitted) == 0 {
		return 0
	}
	first, last, later := c.admitted[0].Add(time.Minute), c.admitted[len(c.admitted)-1], 0
	for _, at := range c.admitted {
		if at.After(first) {
			later++
		}
	}
	if took := last.Sub(first); took > measurable {
		return float64(later) / took.Minutes() / c.bucket.PerMinute
	}
	return 0
}
