//go:build !race

package harness

const raceDetection = false
