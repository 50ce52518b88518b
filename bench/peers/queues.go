package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// natsServer is core NATS. A queue group has no weights; a member that
// subscribes four times gets four shares of ten.
func natsServer() peer {
	return peer{
		name: "nats", title: "nats-server, queue group", perRecord: true, takes: nats,
		programs: []string{"nats-server"}, version: []string{"-v"},
		ack:  "none (core NATS, at most once): the publisher hears nothing, and what a slow or dead subscriber had is gone",
		note: "defaults; weights by subscribing 4, 3, 2 and 1 times; each record goes to a random member; publishers and subscribers of our own that only count",
		configure: func(s *setting) ([]string, error) {
			host, port, err := net.SplitHostPort(s.addr)
			return []string{"-a", host, "-p", port}, err
		},
	}
}

// rsyslog deals lines by a random number, which is the only way that its rules
// know of to have weights: omfwd's pools of targets (8.2408) have none. A queue
// for each action was tried: 1.6 times the CPU, and slower; batches of 8,192 in
// place of 1,024 made no difference.
func rsyslog() peer {
	return peer{
		name: "rsyslog", title: "rsyslog, 4 weighted actions", perRecord: true, takes: lines,
		programs: []string{"rsyslogd"}, version: []string{"-v"},
		ack:  "none (plain TCP): what it holds in memory, or had written to a connection that broke, is gone",
		note: fmt.Sprintf("imptcp with %d threads, random() picks one of four omfwd actions, main queue of 100,000 with %d workers and batches of 1,024; lines are parsed and sent on as they came", cores, cores),
		configure: func(s *setting) ([]string, error) {
			_, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				return nil, err
			}
			var rules strings.Builder
			below := 0
			for i, addr := range s.targets {
				host, port, err := net.SplitHostPort(addr)
				if err != nil {
					return nil, err
				}
				below += weights[i]
				fmt.Fprintf(&rules, "    if $.r < %d then {\n        action(type=\"omfwd\" target=\"%s\" port=\"%s\" protocol=\"tcp\" template=\"asItCame\")\n        stop\n    }\n", below, host, port)
			}
			args, err := configFile(s, "-f", fmt.Sprintf(`global(workDirectory="%s" net.enableDNS="off")
main_queue(queue.type="FixedArray" queue.size="100000" queue.workerThreads="%d" queue.dequeueBatchSize="1024")
module(load="imptcp" threads="%d")
template(name="asItCame" type="string" string="%%rawmsg%%\n")
ruleset(name="deal") {
    set $.r = random(100);
%s}
input(type="imptcp" address="127.0.0.1" port="%s" ruleset="deal")
`, s.dir, cores, cores, &rules, port))
			return append(args, "-n", "-i", filepath.Join(s.dir, "rsyslog.pid")), err
		},
	}
}
