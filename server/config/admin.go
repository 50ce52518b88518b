package config

import (
	"fmt"
	"net"
)

const adminOff = "off"

// takeAdmin takes an address whose host is named. Elsewhere none means every
// interface; profiles are not for everybody, and guessing that loopback was meant
// would make one notation mean two things.
func takeAdmin(c *Config, v string) []string {
	if v == adminOff {
		c.Admin = ""
		return nil
	}
	if fault := checkListen(v); fault != "" {
		return []string{fault + "; or " + adminOff}
	}
	if host, port, _ := net.SplitHostPort(v); host == "" {
		return []string{fmt.Sprintf("must name a host: 127.0.0.1:%s for this machine alone, 0.0.0.0:%s for everybody who can reach it", port, port)}
	}
	c.Admin = v
	return nil
}

func showAdmin(c *Config) string {
	if c.Admin == "" {
		return adminOff
	}
	return c.Admin
}

// adminWarning is what to tell of an address that others may reach; empty: it
// is a loopback address. A name other than localhost may lead anywhere.
func adminWarning(c *Config) string {
	host, _, _ := net.SplitHostPort(c.Admin)
	if ip := net.ParseIP(host); c.Admin == "" || host == "localhost" || ip != nil && ip.IsLoopback() {
		return ""
	}
	return fmt.Sprintf("--admin: %s is not on the loopback interface: whoever reaches it can read what this process has in memory, and slow it down", c.Admin)
}
