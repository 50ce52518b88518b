package cost

import "fmt"

// Point is a deployment and its traffic. Immutable.
type Point struct {
	Agents    int     `json:"agents"`         // connections that send
	Analyzers int     `json:"analyzers"`      // of equal weight
	Size      int     `json:"packet_bytes"`   // body of a packet
	Rate      float64 `json:"packets_second"` // sent at planned times, over all agents; 0: as many as possible
	Loops     int     `json:"loops"`          // event loops
	HeldOut   bool    `json:"held_out"`       // not fitted to, but predicted
}

func (p Point) String() string {
	agents := "agents"
	if p.Agents == 1 {
		agents = "agent"
	}
	s := fmt.Sprintf("%d %s, %d analyzers, %d B", p.Agents, agents, p.Analyzers, p.Size)
	if p.Rate > 0 {
		s += fmt.Sprintf(", %g/s", p.Rate)
	}
	if p.Loops > 1 {
		s += fmt.Sprintf(", %d loops", p.Loops)
	}
	return s
}

// heldOut are the points that the fit does not see, chosen before anything was
// measured: in the middle of the grid, where the model is to interpolate, and
// at its edges and corners, where it has to extrapolate.
var heldOut = map[Point]bool{
	// inside
	{Agents: 10, Analyzers: 8, Size: 200, Loops: 1}:              true,
	{Agents: 100, Analyzers: 8, Size: 2 << 10, Loops: 1}:         true,
	{Agents: 10, Analyzers: 8, Size: 16 << 10, Loops: 1}:         true,
	{Agents: 100, Analyzers: 8, Size: 200, Loops: 1, Rate: 20e3}: true,
	// on an edge
	{Agents: 1, Analyzers: 8, Size: 2 << 10, Loops: 1}:            true,
	{Agents: 1000, Analyzers: 8, Size: 16 << 10, Loops: 1}:        true,
	{Agents: 10, Analyzers: 32, Size: 2 << 10, Loops: 1}:          true,
	{Agents: 100, Analyzers: 2, Size: 16 << 10, Loops: 1}:         true,
	{Agents: 1000, Analyzers: 8, Size: 200, Loops: 1, Rate: 20e3}: true,
	{Agents: 100, Analyzers: 8, Size: 200, Loops: 2}:              true,
	// corners
	{Agents: 1, Analyzers: 2, Size: 64 << 10, Loops: 1}:   true,
	{Agents: 1000, Analyzers: 32, Size: 200, Loops: 1}:    true,
	{Agents: 10, Analyzers: 32, Size: 64 << 10, Loops: 1}: true,
}

// Grid returns all points: every combination of agents, analyzers and sizes as
// fast as it goes; small packets at a rate that leaves the machine mostly
// idle, where each packet wakes the loop; and a few with two loops.
func Grid() []Point {
	var all []Point
	for _, agents := range []int{1, 10, 100, 1000} {
		for _, analyzers := range []int{2, 8, 32} {
			for _, size := range []int{200, 2 << 10, 16 << 10, 64 << 10} {
				all = append(all, Point{Agents: agents, Analyzers: analyzers, Size: size, Loops: 1})
			}
		}
	}
	for _, agents := range []int{10, 100, 1000} {
		for _, analyzers := range []int{2, 8, 32} {
			all = append(all, Point{Agents: agents, Analyzers: analyzers, Size: 200, Loops: 1, Rate: 20e3})
		}
	}
	for _, p := range []Point{
		{Agents: 10, Analyzers: 2, Size: 200}, {Agents: 100, Analyzers: 8, Size: 200},
		{Agents: 10, Analyzers: 8, Size: 16 << 10}, {Agents: 1000, Analyzers: 2, Size: 200},
	} {
		p.Loops = 2
		all = append(all, p)
	}
	for i := range all {
		all[i].HeldOut = heldOut[all[i]]
	}
	return all
}
