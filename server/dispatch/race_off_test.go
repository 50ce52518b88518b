//go:build !race

package dispatch

const RaceEnabled = false
