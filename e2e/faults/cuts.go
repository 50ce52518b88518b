package faults

import (
	"sluice/e2e/harness"
	"sluice/e2e/relay"
)

// cutInsideFrames is C5: everything passes in pieces of 1 to 64 bytes, and
// connections are reset inside a frame, in each of the four directions in turn:
// packets of agents, answers to agents, packets to analyzers, their answers.
func cutInsideFrames(r *harness.Run) {
	s := r.Start(harness.Options{Output: true, Relay: true, AgentRelay: true})
	relays := append([]*relay.Relay(nil), s.AgentRelays...)
	for _, a := range s.Analyzers {
		relays = append(relays, a.Relay)
	}
	for _, path := range relays {
		path.Set(relay.Mode{Slice: true})
	}
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: 1200})
	cuts := 0
	r.Each(func(i int) {
		path, way := relays[0], relay.Way(i%2)
		if i%4 >= 2 {
			path = relays[1+(i/4)%len(s.Analyzers)]
		}
		had := path.Severed()
		path.CutInside(way)
		r.Await("a connection was cut inside a frame", func() bool { return path.Severed() > had })
		r.Fired()
		r.AwaitSettled()
		cuts += path.Severed() - had
		for _, a := range s.Analyzers {
			r.AwaitUp(a)
		}
	})
	r.See("%d connections were cut inside a frame", cuts)
}
