package config

import (
	"net"
	"strconv"
)

// checkListen gives a fault in the user's words, or "".
func checkListen(v string) (fault string) {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return "must be host:port or :port, such as :9000 or 127.0.0.1:9000 (an IPv6 host in brackets: [::1]:9000)"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "must have a port from 0 to 65535 (0: any that is free)"
	}
	return ""
}
