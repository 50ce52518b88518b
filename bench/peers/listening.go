package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
)

// listens says whether somebody accepts connections at an IPv4 address. It asks
// the kernel: a connection to find out would be dealt to a sink by a relay, and
// shift whose turn it is.
func listens(addr string) bool {
	text, err := os.ReadFile("/proc/net/tcp")
	return err == nil && listensIn(text, addr)
}

// listensIn looks for addr among the sockets of a /proc/net/tcp.
func listensIn(table []byte, addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	number, err := strconv.Atoi(port)
	ip := net.ParseIP(host).To4()
	if err != nil || ip == nil {
		return false
	}
	// Addresses are printed as the bytes of a little-endian number, ports as
	// they are; 0A is LISTEN.
	want := []byte(fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], number))
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) > 3 && bytes.Equal(f[1], want) && string(f[3]) == "0A" {
			return true
		}
	}
	return false
}
