// Peers sends the same traffic through Sluice and through what one would
// otherwise put in its place, and compares.
//
//	bench/peers/install.sh && make build
//	go run ./bench/peers --runs 7 --markdown peers.md --svg peers.svg --json peers.json
//	go run ./bench/peers --baseline DIR --runs 15 --parts throughput,latency,ingest
//	go run ./bench/peers scale --markdown scale.md --svg scale.svg
//
// Ten agents send 200-byte records to four sinks with weights 40/30/20/10. What
// differs is the program in the middle, a process of its own like the agents
// and each of the sinks:
//
//	sluice           loadgen ▶ server ▶ 4 analyzers --discard
//	haproxy, nginx   the same loadgen and analyzers: bytes, agents and sinks are equal
//	rsyslog          10 connections of lines ▶ rsyslogd ▶ 4 sinks that count lines
//	nats             10 publishers ▶ nats-server ▶ 4 members of a queue group that count
//
// Runs are interleaved, A B C A B C, and each round begins with another one, so
// that a machine that gets slower or busier does so for all. Every process is
// started anew for each run. What is told is the median and the smallest and
// largest of all runs; ratios are medians of the ratios within one round.
//
// Then acknowledgement latency under open-loop load, Sluice beside HAProxy, and
// the CPU of an /ingest request beside that of an empty fasthttp handler.
//
// With --baseline, the two contestants are this Sluice and an older one, whose
// programs lie in DIR, each with agents and analyzers of its own version. They
// run one after the other, and each is the first in every other round. What is
// judged is the median of the ratios within a round: its 95 % interval, by order
// statistics, must lie below 1.03. The command fails if it does not.
//
// CPU is what the kernel charged to the process in the middle and its children
// (/proc/<pid>/stat, user and system, in ticks of 10 ms) from before the first
// record until after the last one.
package main
