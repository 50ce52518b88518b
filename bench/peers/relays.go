package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// haproxy relays connections. With buffers of 64 KiB it takes less CPU than
// with its default of 16 KiB, and is what Sluice is judged by; the default has a
// row of its own. Without splice-auto: that was slower in each of three rounds,
// at the same CPU.
func haproxy(name, title string, bufsize int) peer {
	return peer{
		name: name, title: title,
		programs: []string{"haproxy"}, version: []string{"-v"},
		ack:  "the analyzer's own; the relay knows of none. When an analyzer dies, the agent loses its connection, connects again and sends again what was not acknowledged",
		note: fmt.Sprintf("mode tcp, nbthread %d, tune.bufsize %d, balance roundrobin with weights: connections are dealt, not packets", cores, bufsize),
		configure: func(s *setting) ([]string, error) {
			var servers strings.Builder
			for i, addr := range s.targets {
				fmt.Fprintf(&servers, "    server %s %s weight %d\n", sinkName(i), addr, s.weights[i])
			}
			return configFile(s, "-f", fmt.Sprintf(`global
    nbthread %d
    maxconn 4096
    tune.bufsize %d
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend agents
    bind %s
    default_backend analyzers
backend analyzers
    balance roundrobin
%s`, cores, bufsize, s.addr, &servers), "-db")
		},
	}
}

// nginx relays connections with its stream module.
func nginx() peer {
	return peer{
		name: "nginx", title: "NGINX stream",
		programs: []string{"nginx"}, version: []string{"-v"},
		ack:  "as with HAProxy",
		note: fmt.Sprintf("worker_processes %d, proxy_buffer_size 64k, reuseport, a shared zone for the weights: connections are dealt, not packets", cores),
		lacks: func(program string) string {
			built, _ := exec.Command(program, "-V").CombinedOutput()
			if !bytes.Contains(built, []byte("--with-stream")) || bytes.Contains(built, []byte("--with-stream=dynamic")) && nginxModule() == "" {
				return "NGINX is, but not its stream module (Debian: libnginx-mod-stream)"
			}
			return ""
		},
		configure: func(s *setting) ([]string, error) {
			var servers strings.Builder
			for i, addr := range s.targets {
				fmt.Fprintf(&servers, "        server %s weight=%d;\n", addr, s.weights[i])
			}
			args, err := configFile(s, "-c", fmt.Sprintf(`%sdaemon off;
user root;
worker_processes %d;
pid %s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
stream {
    upstream analyzers {
        zone analyzers 64k;
%s    }
    server {
        listen %s reuseport;
        proxy_buffer_size 64k;
        proxy_pass analyzers;
    }
}
`, nginxModule(), cores, s.dir, &servers, s.addr))
			return append(args, "-p", s.dir, "-e", "stderr"), err
		},
	}
}

// nginxModule loads the stream module where it is a file of its own.
func nginxModule() string {
	const file = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(file); err != nil {
		return "" // built in, or nginx will say what is missing
	}
	return "load_module " + file + ";\n"
}

// configFile writes text to a file in the setting's folder, and returns the
// arguments that name it, followed by more.
func configFile(s *setting, flag, text string, more ...string) ([]string, error) {
	file := filepath.Join(s.dir, "middle.conf")
	return append([]string{flag, file}, more...), os.WriteFile(file, []byte(text), 0o644)
}
