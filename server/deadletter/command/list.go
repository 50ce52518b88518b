package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/protocol"
	"sluice/server/deadletter"
)

// listed is a file as list shows it. Immutable.
type listed struct {
	Name    string          `json:"file"`
	Kind    deadletter.Kind `json:"kind"`
	Packets int             `json:"packets"` // that have no fate yet; of a damaged file nobody knows
	Bytes   int64           `json:"bytes"`
	Since   time.Time       `json:"oldest"` // when the file was begun
	Letters []listedPacket  `json:"letters,omitempty"`

	file deadletter.File
}

// listedPacket is a packet as list -v shows it. Immutable.
type listedPacket struct {
	PacketID string `json:"packet_id"`
	AgentID  string `json:"agent_id"`
	Messages int    `json:"messages"`
	Bytes    int    `json:"bytes"`
	Fault    string `json:"fault,omitempty"`  // why it is not a packet
	Reason   string `json:"reason,omitempty"` // why it was refused
}

// listing is all of list --json. Immutable.
type listing struct {
	Folder         string   `json:"folder"`
	Files          []listed `json:"files"`
	Packets        int      `json:"packets"` // that wait for delivery
	RefusedPackets int      `json:"refused_packets"`
	DamagedFiles   int      `json:"damaged_files"`
	Bytes          int64    `json:"bytes"`
}

// look surveys a folder without a lock and without a change. What is wrong
// with its files goes to notes.
func look(dir string, notes io.Writer) ([]listed, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	files, err := deadletter.Survey(dir, slog.New(slog.NewTextHandler(notes, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	if err != nil {
		return nil, err
	}
	list := make([]listed, len(files))
	for i, f := range files {
		list[i] = listed{Name: f.Name, Kind: f.Kind, Packets: f.Packets, Bytes: f.Bytes, Since: f.Since, file: f}
	}
	return list, nil
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func listCommand(dir string, verbose, asJSON bool, stdout, stderr io.Writer) int {
	files, err := look(dir, stderr)
	if err != nil {
		return failed(stderr, err)
	}
	all := listing{Folder: dir, Files: files}
	for i := range files {
		f := &files[i]
		all.Bytes += f.Bytes
		switch f.Kind {
		case deadletter.Waiting:
			all.Packets += f.Packets
		case deadletter.Refused:
			all.RefusedPackets += f.Packets
		case deadletter.Damaged:
			all.DamagedFiles++
		}
		if verbose && asJSON {
			_ = eachPacket(dir, f, func(p listedPacket) error { // a file that is gone by now has none
				f.Letters = append(f.Letters, p)
				return nil
			})
		}
	}
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(all)
	} else {
		err = printListing(&all, verbose, stdout)
	}
	if err != nil {
		return failed(stderr, err)
	}
	return exitDone
}

func printListing(all *listing, verbose bool, out io.Writer) error {
	if len(all.Files) == 0 {
		_, err := fmt.Fprintf(out, "no dead letters in %s\n", all.Folder)
		return err
	}
	if err := printTable(all.Files, out); err != nil {
		return err
	}
	if verbose {
		if err := printPackets(all, out); err != nil {
			return err
		}
	}
	totals := []string{count(all.Packets, "packet waits", "packets wait") + " for delivery"}
	if oldest := slices.IndexFunc(all.Files, func(f listed) bool { return f.Kind == deadletter.Waiting && f.Packets > 0 }); oldest >= 0 {
		totals[0] += ", the oldest since " + ago(all.Files[oldest].Since)
	}
	if all.RefusedPackets > 0 {
		totals = append(totals, count(all.RefusedPackets, "was", "were")+" refused for ever")
	}
	if all.DamagedFiles > 0 {
		totals = append(totals, count(all.DamagedFiles, "file is", "files are")+" damaged")
	}
	_, err := fmt.Fprintf(out, "\n%s; %s in all\n", strings.Join(totals, "; "), bytesText(all.Bytes))
	return err
}

func printTable(files []listed, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tKIND\tPACKETS\tBYTES\tOLDEST")
	for _, f := range files {
		packets := thousands(f.Packets)
		if f.Kind == deadletter.Damaged {
			packets = "?"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.Kind, packets, bytesText(f.Bytes), ago(f.Since))
	}
	return table.Flush()
}

// printPackets streams: a folder may hold millions. Columns are aligned for
// the usual length of ids.
func printPackets(all *listing, out io.Writer) error {
	for i := range all.Files {
		f := &all.Files[i]
		if f.Kind == deadletter.Damaged {
			continue
		}
		if _, err := fmt.Fprintf(out, "\n%s\n  %-36s  %-20s  MESSAGES\n", f.Name, "PACKET_ID", "AGENT_ID"); err != nil {
			return err
		}
		err := eachPacket(all.Folder, f, func(p listedPacket) error {
			if p.Fault != "" {
				_, err := fmt.Fprintf(out, "  not a packet: %s (%s)\n", p.Fault, bytesText(int64(p.Bytes)))
				return err
			}
			reason := ""
			if p.Reason != "" {
				reason = "  " + plain(p.Reason)
			}
			_, err := fmt.Fprintf(out, "  %-36s  %-20s  %s%s\n", plain(p.PacketID), plain(p.AgentID), thousands(p.Messages), reason)
			return err
		})
		if err != nil {
			if _, err := fmt.Fprintf(out, "  (cannot be read further: %v)\n", err); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachPacket calls show for each packet of a file that has no outcome yet.
func eachPacket(dir string, f *listed, show func(listedPacket) error) error {
	inspect := protocol.NewInspector(maxFrameBytes)
	var s protocol.Scanned
	return f.file.Each(dir, func(frame, reason []byte) error {
		p := listedPacket{Bytes: len(frame), Reason: string(reason)}
		if len(frame) <= protocol.HeaderSize {
			p.Fault = "too short"
		} else if err := inspect.Scan(frame[protocol.HeaderSize:], &s); err != nil {
			p.Fault = err.Error()
		} else {
			p.PacketID, p.AgentID, p.Messages = string(s.PacketID), string(s.AgentID), s.Messages
		}
		return show(p)
	})
}

// maxFrameBytes is the largest packet that is looked into, whatever the
// server's max-frame was when it was kept.
const maxFrameBytes = 64 << 20

// plain is text from a packet as a terminal may get it.
func plain(text string) string {
	quoted := strconv.Quote(text)
	if quoted == `"`+text+`"` {
		return text
	}
	return quoted
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func bytesText(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[u]
}

func ago(t time.Time) string {
	d := max(0, time.Since(t).Round(time.Second))
	unit := time.Second
	switch {
	case d > 48*time.Hour:
		return fmt.Sprintf("%s (%d days ago)", t.Format("2006-01-02 15:04:05"), int(d/(24*time.Hour)))
	case d > 2*time.Hour:
		unit = time.Hour
	case d > 2*time.Minute:
		unit = time.Minute
	}
	text := strings.TrimSuffix(strings.TrimSuffix(d.Truncate(unit).String(), "0s"), "0m")
	return fmt.Sprintf("%s (%s ago)", t.Format("2006-01-02 15:04:05"), cmp.Or(text, "0s"))
}
