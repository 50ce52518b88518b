package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals are those that a program obeys, each kind in a channel of its own:
// the runtime drops a signal whose channel is full, so that a storm of one kind
// would else lose another.
type Signals struct {
	Stop   <-chan os.Signal // SIGINT and SIGTERM; the second one asks for haste
	Reload <-chan os.Signal // SIGHUP; a storm of them is one that is pending
}

// CatchSignals catches them from now on, for as long as the program lives.
func CatchSignals() Signals {
	stop, reload := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(reload, syscall.SIGHUP)
	return Signals{Stop: stop, Reload: reload}
}
