package faults

import "sluice/e2e/harness"

// cutInsideFrames is C5: everything passes in pieces of 1 to 64 bytes, and
// connections are reset inside a frame, in each of the four directions in turn:
// packets of agents, answers to agents, packets to analyzers, their answers.
func cutInsideFrames(r *harness.Run) {
	s := r.Start(harness.Options{Output: true, Relay: true, AgentRelay: true})
	relays := append([]*harness.Relay(nil), s.AgentRelays...)
	for _, a := range s.Analyzers {
		relays = append(relays, a.Relay)
	}
	for _, relay := range relays {
		relay.Set(harness.Mode{Slice: true})
	}
	r.Load(harness.Load{Clients: 4, Plain: 2, Rate: 1200})
	cuts := 0
	r.Each(func(i int) {
		relay, way := relays[0], harness.Way(i%2)
		if i%4 >= 2 {
			relay = relays[1+(i/4)%len(s.Analyzers)]
		}
		had := relay.Severed()
		relay.CutInside(way)
		r.Await("a connection was cut inside a frame", func() bool { return relay.Severed() > had })
		r.Fired()
		r.AwaitSettled()
		cuts += relay.Severed() - had
		for _, a := range s.Analyzers {
			r.AwaitUp(a)
		}
	})
	r.See("%d connections were cut inside a frame", cuts)
}
