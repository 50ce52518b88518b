// Package sim is a whole world around server/dispatch in one goroutine:
// distributors, analyzers, agents and HTTP senders, the network between them,
// and the faults that befall all of these. A seed decides everything; the same
// seed gives the same world, event for event.
//
// It is a discrete-event simulation, as TigerBeetle's VOPR and FoundationDB's
// simulator are: a virtual clock jumps from one event to the next, so that an
// hour of silence costs nothing and a minute of traffic costs a second. Only
// sockets, threads and far ends are modelled. The core (server/dispatch), the
// agents' wires (server/wire), the intake (server/intake) and the pump that drives
// them (server/pump), the route table (server/route), the health monitor
// (server/health) and the protocol are the real ones: a loop is a Host of the pump
// and its connections are Transports, as in server/loop.
//
// A run has two phases. In the first, faults of the kinds that the seed drew
// strike at random. In the second, everything is healed, and all must settle
// within a bounded time and leave nothing behind. The oracle stands outside:
// it knows of every packet who made it, who was told what about it, and which
// analyzer has a receipt for it, and it is asked at every step, not only at
// the end.
//
// To read it: world.go (a run), knobs.go (what a seed draws), events.go and
// process.go (time, and who lives in it), network.go, pipe.go and end.go
// (connections), distributor.go, loop.go, conn.go, desk.go and pool.go (what
// stands around a pump), analyzer.go and sink.go, agent.go and rude.go, submitter.go,
// letters.go (dead letters), oracle.go, mirror.go and check.go (what must
// hold), faults.go and strike.go, heal.go.
package sim
