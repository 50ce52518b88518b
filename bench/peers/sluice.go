package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// sluice is the distributor of this project, with its defaults.
func sluice() peer {
	return peer{
		name: "sluice", title: "Sluice", ours: true, perRecord: true,
		programs: []string{"server"}, version: []string{"--version"},
		ack:  "an analyzer has handled the packet and acknowledged it; until then the distributor keeps it and gives it to another analyzer if that one dies",
		note: "defaults; each packet is scanned and dealt by weight, exactly",
		configure: func(s *setting) ([]string, error) {
			list := make([]string, len(s.targets))
			for i, addr := range s.targets {
				list[i] = fmt.Sprintf("%s=tcp://%s?weight=%d", sinkName(i), addr, s.weights[i])
			}
			return append([]string{"--listen", s.addr, "--http", s.http, "--log-level", "warn",
				"--dead-letter-dir", filepath.Join(s.dir, "dead-letters"),
				"--analyzers", strings.Join(list, ",")}, s.flags...), nil
		},
		serving: func(s *setting) bool {
			var health struct {
				Status string `json:"status"`
			}
			_, err := getJSON("http://"+s.http+"/health", &health)
			return err == nil && health.Status == "healthy"
		},
	}
}

// baseline is an older Sluice, all of whose programs lie in a folder.
func baseline(bin string) peer {
	p := sluice()
	p.name, p.title, p.bin = "baseline", "Sluice, baseline", bin
	return p
}

func sinkName(i int) string { return fmt.Sprintf("analyzer-%d", i+1) }
