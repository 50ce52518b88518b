// Package harness runs the built programs as real processes, hurts them with
// real signals and broken connections, and judges what became of the packets.
//
// The judge stands outside the fault domain: agents note in the [oracle.Oracle] what
// they issued and what was answered, the analyzers' receipts say what was
// delivered, and neither knows of the other. A packet that was acknowledged and
// is in no receipts was lost, whatever the counters of the distributor say.
//
// How a scenario reads:
//
//	s := r.Start(harness.Options{})            // analyzers, distributor, all up
//	s.Load(harness.Load{Clients: 4, Plain: 2}) // agents
//	r.Each(func(i int) {                       // as often as it is due
//		s.Analyzers[0].Kill()
//		r.Fired()
//		r.AwaitDown(s.Analyzers[0])
//		r.Must(s.Analyzers[0].Start())
//		r.AwaitUp(s.Analyzers[0])
//	})
//
// What every scenario needs besides (a thousand acknowledged packets for each
// fault, quiet at the end, the ledger, the verdict) is done by [Lab.Execute].
package harness
