package output

import (
	"os"
	"os/signal"
	"syscall"
)

// SurviveSIGPIPE lets a write to a standard output or standard error whose
// reader is gone fail, in place of ending the program. Programs that do work
// call it first; a command whose product is what it prints does not, so that
// "command | head" ends it, as is the custom.
//
// The signal is caught and not ignored: programs that are started would inherit
// that.
func SurviveSIGPIPE() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
