// Package bench measures Sluice: each piece that a packet passes, then the
// distributor's core without sockets, then the whole over loopback.
//
//	go test -run xxx -bench . ./bench
//	bench/run.sh                          the same, kept by commit and compared
//	go run ./bench/peers                  beside HAProxy, NGINX, NATS and rsyslog
//	go run ./bench/peers scale            a model of cost, fitted to a grid (bench/cost)
//
// A benchmark first proves, or proves at its end, that it did what its name
// says: that what was encoded is a packet, that everything was delivered, that
// the ledger is 0. One that measures nothing fails.
//
// What is promised as a ratio is measured as one: pairs_test.go runs both sides
// in turn, block by block, so that a busy machine is in both.
//
// Where an op is a turn and not a packet, ns/packet tells the cost of one. A
// number over loopback is that of everything in this process, agents and
// analyzers included, on all its CPUs; it is not the distributor's alone.
package bench
