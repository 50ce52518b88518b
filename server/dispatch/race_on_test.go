//go:build race

package dispatch

const RaceEnabled = true
