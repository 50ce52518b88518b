package cost

// Machine is where a prediction is for: one or several of a kind, agents spread
// evenly over them. Immutable.
type Machine struct {
	Cores    int     // of each
	Loops    int     // of each
	Machines int     // distributors that share the agents
	Network  float64 // bits a second that each can receive, and send as many at once
}

// Forecast is what a model says of machines that were not measured. It is a
// prediction, never a measurement.
type Forecast struct {
	CPU     float64 // µs for each packet
	ByCPU   float64 // packets a second over all machines, if the loops are what is short
	Network float64 // packets a second over all machines that the network carries
	Links   int     // connections that each analyzer holds
}

// Rate is what is there of the scarcer one, in packets a second.
func (f Forecast) Rate() float64 { return min(f.ByCPU, f.Network) }

// wireShare is what Ethernet, IP and TCP add to full segments: 78 bytes, preamble
// and gap included, to 1,448.
const wireShare = 1 + 78.0/1448

// Forecast extrapolates to machines. p is the traffic of all of them together;
// its loops do not count.
//
// It assumes what the design says and two loops on two cores can only hint at:
// that loops share nothing but the table of routes and counters that they touch
// once a turn, so that a loop with its part of the agents costs what a loop
// alone with as many costs, and is never kept from its core. A loop fills one
// core at most, so the rate is loops by cost.
func (m *Model) Forecast(p Point, on Machine) Forecast {
	p.Agents = max(p.Agents/on.Machines, 1)
	p.Loops = on.Loops
	f := Forecast{CPU: m.CPU.Predict(p), Links: on.Machines * on.Loops}
	machines := float64(on.Machines)
	f.ByCPU = machines * float64(on.Loops) * 1e6 / f.CPU
	f.Network = machines * on.Network / 8 / (float64(p.Size+FrameBytes) * wireShare)
	return f
}
