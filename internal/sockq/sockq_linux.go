package sockq

import "golang.org/x/sys/unix"

// OfFD is Of for a socket that is known by its descriptor, which must stay open
// during the call.
func OfFD(fd int) (State, bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return State{}, false
	}
	queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return State{}, false
	}
	return State{Unacked: queued, Acked: info.Bytes_acked}, true
}
