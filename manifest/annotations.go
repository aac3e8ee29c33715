package manifest

import (
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// Annotations are annotations of a list and of the descriptors of its images.
type Annotations struct {
	Index       map[string]string
	Descriptors []DescriptorAnnotation
	// Skipped are the levels that were given beside others and that a list does not have.
	Skipped []string
}

// DescriptorAnnotation is an annotation of the descriptors of the images for a platform, nil for all.
type DescriptorAnnotation struct {
	Platform   *Platform
	Key, Value string
}

// The levels of https://docs.docker.com/build/metadata/annotations/#specify-annotation-level; a list has the first two.
var annotationLevels = []string{"index", "manifest-descriptor", "manifest", "index-descriptor"}

// ParseAnnotations returns annotations in the form of docker buildx build: [LEVEL[PLATFORM],...:]KEY=VALUE. Those without a level
// are of the level that is passed.
func ParseAnnotations(typed []string, level string) (a Annotations, err error) {
	a.Index = map[string]string{}
	for _, text := range typed {
		levels, pair := cutLevels(text, level)
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return a, Errorf(errdefs.ErrInvalidArgument, "%q is not KEY=VALUE", text)
		}
		var skipped []string
		for _, l := range levels {
			name, platform, some := strings.Cut(strings.TrimSuffix(l, "]"), "[")
			d := DescriptorAnnotation{Key: key, Value: value}
			if some {
				p, err := ParsePlatform(platform)
				if err != nil {
					return a, err
				}
				d.Platform = &p
			}
			switch {
			case name == "index" && some:
				return a, Errorf(errdefs.ErrInvalidArgument, "%q: an index has no platform", text)
			case name == "index":
				a.Index[key] = value
			case name == "manifest-descriptor":
				a.Descriptors = append(a.Descriptors, d)
			default:
				skipped = append(skipped, name)
			}
		}
		if len(skipped) == len(levels) {
			err := Errorf(errdefs.ErrInvalidArgument, "%q is for %s, but a list has only annotations of itself and of its descriptors", text, JoinAnd(skipped))
			return a, WithHint(err, "use index:%s; for docker/metadata-action set DOCKER_METADATA_ANNOTATIONS_LEVELS=index", pair)
		}
		for _, s := range skipped {
			if !slices.Contains(a.Skipped, s) {
				a.Skipped = append(a.Skipped, s)
			}
		}
	}
	return a, nil
}

// cutLevels returns the levels before the colon, and what follows. A key may have a colon, too.
func cutLevels(text, level string) (levels []string, pair string) {
	before, after, ok := strings.Cut(text, ":")
	levels = strings.Split(before, ",")
	for _, l := range levels {
		name, platform, some := strings.Cut(l, "[")
		ok = ok && slices.Contains(annotationLevels, name) && (!some || strings.HasSuffix(platform, "]"))
	}
	if !ok {
		return []string{level}, text
	}
	return levels, after
}

// Annotated returns the list with annotations. A platform without an image is an errdefs.ErrFailedPrecondition error.
func (l List) Annotated(a Annotations) (List, error) {
	l.Annotations = MergeAnnotations(l.Annotations, a.Index)
	l.Entries = slices.Clone(l.Entries)
	for _, d := range a.Descriptors {
		found := false
		for i, e := range l.Entries {
			if !e.IsImage() || d.Platform != nil && !d.Platform.Matches(e.Platform()) {
				continue
			}
			found = true
			l.Entries[i].Descriptor.Annotations = MergeAnnotations(e.Descriptor.Annotations, map[string]string{d.Key: d.Value})
		}
		if !found && d.Platform != nil {
			return l, Errorf(errdefs.ErrFailedPrecondition, "%s has no image for %s, which --annotation names", Familiar(l.Name), d.Platform)
		}
	}
	return l, nil
}
