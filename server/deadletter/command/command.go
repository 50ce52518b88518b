// Package command is the command line of the dead letters, "server
// dead-letters": list, replay and drop. It works on a folder without a server;
// list also beside one.
package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/internal/cli"
	"sluice/server/deadletter"
)

// Exit codes of Run.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = cli.ExitConfig
)

// folderFlag is the folder that every command works on. Owned by one Run.
type folderFlag struct {
	Dir string `name:"dead-letter-dir" default:"./dead-letters" env:"DEAD_LETTER_DIR" placeholder:"DIR" help:"The folder of the dead letters."`
}

// commands is what kong parses. Owned by one Run.
type commands struct {
	List struct {
		folderFlag
		Verbose bool `short:"v" help:"Also each packet: packet_id, agent_id and how many messages it has."`
		JSON    bool `name:"json" help:"As JSON."`
	} `cmd:"" help:"Show what is in the folder. Works beside a running server."`

	Replay struct {
		folderFlag
		To     string        `default:"127.0.0.1:9000" placeholder:"HOST:PORT" help:"A distributor that takes them."`
		GiveUp time.Duration `default:"30" placeholder:"D" help:"Stop when nothing has moved for so long."`
	} `cmd:"" help:"Send the waiting packets to a distributor and remove what was delivered. Only needed for a folder without a server: a running one does it by itself."`

	Version cli.VersionFlag `help:"Print the version and exit."`

	Drop struct {
		folderFlag
		Files     []string       `arg:"" optional:"" name:"file" help:"Names of files, as list shows them."`
		All       bool           `help:"Every file."`
		OlderThan *time.Duration `placeholder:"D" help:"Files that were begun so long ago: seconds, or with a unit such as 36h or 7d."`
		Yes       bool           `help:"Do it. Without, only what would be dropped is shown."`
	} `cmd:"" help:"Delete packets for ever. Needs the server stopped."`
}

const commandDescription = `Dead letters are packets that were answered 202 and that no analyzer took. The
server keeps them in files, and delivers them by itself once analyzers are well.

Kinds of files: waiting (to be delivered), refused (an analyzer refused these
packets permanently, or they failed again and again while others were
delivered; they stay until dropped), damaged (cannot be read, set aside and
never deleted by the server).

Exit codes: 0 done, and for replay: nothing is left; 1 failed; 78 bad usage.`

// Run runs "server dead-letters": args are those behind these words. It
// returns the exit code.
func Run(args []string, env cli.Environ, stdout, stderr io.Writer) int {
	var c commands
	parsed, err := cli.Parse(cli.Program{Name: "server dead-letters", Description: commandDescription}, &c, args, env, stdout)
	if err != nil {
		return cli.Refuse(stderr, err)
	} else if parsed.Done {
		return exitDone
	}
	switch parsed.Command {
	case "list":
		return listCommand(c.List.Dir, c.List.Verbose, c.List.JSON, stdout, stderr)
	case "replay":
		return replayCommand(c.Replay.Dir, c.Replay.To, c.Replay.GiveUp, stdout, stderr)
	}
	return dropCommand(c.Drop.Dir, selection{files: c.Drop.Files, all: c.Drop.All, olderThan: c.Drop.OlderThan}, c.Drop.Yes, stdout, stderr)
}

func usage(stderr io.Writer, text string) int {
	fmt.Fprintln(stderr, text)
	return exitUsage
}

func failed(stderr io.Writer, err error) int {
	var locked *deadletter.LockedError
	if errors.As(err, &locked) {
		fmt.Fprintf(stderr, "%v: a running server delivers dead letters by itself; stop it first\n", err)
	} else {
		fmt.Fprintln(stderr, err)
	}
	return exitFailed
}

// checkFolder is for commands that must not create a folder by mistake.
func checkFolder(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no folder %s; see --dead-letter-dir", dir)
	}
	if err == nil && !st.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	return err
}
