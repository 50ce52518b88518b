// Package faults lists the scenarios: what is broken, how, and what must hold
// all the same. Each is one function; harness does the rest.
//
// To add a row: write a function that starts a system and load, and makes the
// fault in r.Each; add it to Rows and to docs/ACCEPTANCE.md,
// with one id.
package faults

import (
	"time"

	"sluice/e2e/harness"
)

// Rows returns the scenarios in the order of the tables. Ids are those of
// docs/ACCEPTANCE.md.
func Rows() []harness.Row { return append(faultRows(), overloadRows()...) }

func faultRows() []harness.Row {
	const none, handOver, resend, both, own = harness.NoDup, harness.HandOver, harness.Resend, harness.Both, harness.Own
	return []harness.Row{
		{ID: "C0", Fault: "none", Bound: none, Short: 3, Long: 5, Run: noFault},
		{ID: "C1", Fault: "analyzer kill -9, restarted", Bound: handOver, Short: 3, Long: 20, Run: analyzerKilled},
		{ID: "C2", Fault: "analyzer SIGSTOP, SIGCONT", Bound: handOver, Short: 3, Long: 5, Run: analyzerFrozen},
		{ID: "C3", Fault: "analyzer black-holed", Bound: handOver, Short: 3, Long: 5, Run: analyzerBlackHoled},
		{ID: "C4", Fault: "analyzer 100 times slower", Bound: handOver, Short: 3, Long: 5, Run: analyzerSlow},
		{ID: "C5", Fault: "RST inside a frame, each direction; writes of 1-64 bytes", Bound: both, Short: 4, Long: 20, Run: cutInsideFrames},
		{ID: "C7", Fault: "distributor kill -9, restarted", Bound: resend, Short: 3, Long: 20, Run: distributorKilled},
		{ID: "C10", Fault: "agents kill -9", Bound: none, Short: 3, Long: 20, Run: agentsKilled},
		{ID: "C11", Fault: "1,000 connections/s come and go, acks delayed", Bound: none, Short: 3, Long: 50, Alone: true, Run: connectionChurn},
		{ID: "C16", Fault: "an analyzer's ACKs dropped, data passes", Bound: handOver, Short: 3, Long: 5, Run: acksDropped},
		{ID: "C17", Fault: "agents cut off with full windows", Bound: resend, Short: 3, Long: 5, Run: agentsCutOff},
		{ID: "C20", Fault: "analyzer flaps every 0.5 s", Bound: handOver, Short: 3, Long: 5, Run: analyzerFlaps},
		{ID: "C23", Fault: "shares while analyzers die and return", Bound: handOver, Short: 3, Long: 20, Run: sharesHold},
		{ID: "A8", Fault: "a packet_id twice on one connection, on two, after its ack", Bound: own, Short: 3, Long: 20, Run: sameID},
		{ID: "A11", Fault: "analyzers that answer wrongly", Bound: handOver, Short: 3, Long: 20, Run: wrongAnswers},
		{ID: "B8", Fault: "all analyzers down", Bound: handOver, Short: 3, Long: 20, Run: allDown},
		{ID: "F1", Fault: "distributor SIGTERM under load", Bound: none, Short: 3, Long: 20, Run: distributorStopped},
		{ID: "F3", Fault: "SIGTERM with hung analyzers; a second SIGTERM", Bound: both, Short: 3, Long: 6, Run: stoppedWhileHung},
		{ID: "F5", Fault: "three distributors restarted in turn", Bound: none, Short: 3, Long: 20, Run: rollingRestart},
		{ID: "F6", Fault: "ten reloads in a row: weights, an analyzer leaves and returns", Bound: none, Short: 4, Long: 100, Run: reloaded},
		{ID: "E2", Fault: "analyzer-2 killed under full load", Bound: handOver, Short: 1, Long: 5, Alone: true, Run: killedAtFullLoad},
		{ID: "E3", Fault: "all analyzers down under full load", Bound: handOver, Short: 1, Long: 5, Alone: true, Run: allDownAtFullLoad},
		{ID: "E4", Fault: "distributor kill -9 many times in a row", Bound: resend, Short: 10, Long: 50, Run: killedInARow},
		{ID: "E5", Fault: "analyzer of 40 % frozen at full load", Bound: handOver, Short: 3, Long: 5, Alone: true, Run: frozenAtFullLoad},
	}
}

// overloadRows are about too much, and about peers that mean no good. Rows that
// compare a rate with what analyzers were told to take leave the machine idle
// enough to run beside others.
func overloadRows() []harness.Row {
	const none, handOver = harness.NoDup, harness.HandOver
	rows := []harness.Row{
		{ID: "A3", Fault: "frame lengths that cannot be, 1,000 connections each time", Bound: none, Short: 3, Long: 20, Run: badLengths},
		{ID: "A6", Fault: "half a frame, then FIN, RST or silence", Bound: none, Short: 1, Long: 5, Run: halfFrames},
		{ID: "A7", Fault: "TLS, HTTP and noise on the agents' port, 500 connections/s", Bound: none, Short: 3, Long: 5, Run: strangersOnThePort},
		{ID: "A12", Fault: "agents that never read their answers", Bound: none, Short: 3, Long: 5, Run: unreadAnswers},
		{ID: "A13", Fault: "HTTP that can be read in two ways", Bound: none, Short: 3, Long: 20, Run: smuggled},
		{ID: "B1", Fault: "three times what the analyzers take", Bound: none, Short: 1, Long: 1, Run: tripled},
		{ID: "B2", Fault: "all analyzers ten times slower, then normal", Bound: none, Short: 1, Long: 5, Run: tenTimesSlower},
		{ID: "B3", Fault: "senders that ignore the window, 10 times as much", Bound: none, Short: 1, Long: 5, Run: rudeNeighbours},
		{ID: "B4", Fault: "all agents reconnect within a second", Bound: none, Short: 1, Long: 5, Run: stormOfAgents},
		{ID: "B5", Fault: "ten times the HTTP concurrency", Bound: none, Short: 3, Long: 20, Run: crowdedHTTP},
		{ID: "D1", Fault: "256 descriptors and 2,000 connections", Bound: none, Short: 3, Long: 20, Run: fewDescriptors},
		{ID: "D2", Fault: "descriptors too few for the maximum", Bound: none, Short: 3, Long: 5, Run: tooFewDescriptors},
		{ID: "D3", Fault: "256 MiB of memory, full windows, slow analyzers", Bound: none, Short: 1, Long: 5, Run: littleMemory},
		{ID: "D6", Fault: "an analyzer that refuses connections", Bound: handOver, Short: 1, Long: 1, Run: refusedForLong},
		{ID: "D7", Fault: "what is left after a bit of everything", Bound: none, Short: 1, Long: 5, Run: nothingLeft},
		{ID: "X2", Fault: "thousands of idle agents beside 100 active ones", Bound: none, Short: 1, Long: 1, Alone: true, Run: idleAgents},
		{ID: "X3", Fault: "a rude and an endlessly slow sender beside a good one", Bound: none, Short: 1, Long: 1, Alone: true, Run: badNeighbours},
		{ID: "X4", Fault: "100 connections/s come and go at 70 % load", Bound: none, Short: 1, Long: 1, Run: steadyChurn},
		{ID: "X5", Fault: "one agent at ten times its part", Bound: none, Short: 1, Long: 5, Run: greedyAgent},
	}
	for i := range rows {
		rows[i].Part = "Overload, hostile peers and resources"
	}
	return rows
}

// longest keeps the longest of several times.
type longest time.Duration

func (l *longest) add(d time.Duration) { *l = max(*l, longest(d)) }

func (l longest) String() string { return time.Duration(l).Round(10 * time.Millisecond).String() }

// holds is how much of the throughput before must be left for "the others go
// on": paced agents make up for what they missed, so the rest is measuring.
const holds = 0.8

// others checks that the other analyzers receive what all of them did before.
func others(r *harness.Run, a *harness.Analyzer, before float64, over time.Duration) (part float64) {
	during := r.Rate(a, over)
	if during < holds*before {
		r.Fail("without %s the others received %.0f packets/s, and all together %.0f before", a.Name, during, before)
	}
	return during / before
}
