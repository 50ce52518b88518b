package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/agent/lines"
	"sluice/internal/cli"
	"sluice/internal/rawlog"
)

// parseFlags are those of "agent parse".
type parseFlags struct {
	Files     []string        `arg:"" optional:"" name:"file" help:"Files to look at; - is standard input."`
	Lines     int             `short:"n" help:"How many records of each file to show; the summary counts all." default:"10" placeholder:"N"`
	Timezone  string          `help:"Zone of times that name none." default:"Local" env:"AGENT_TIMEZONE" placeholder:"ZONE"`
	Now       string          `help:"A time without a year is in the latest year in which it is not after this time. Default: the file's modification time." env:"AGENT_NOW" placeholder:"RFC3339"`
	Multiline string          `help:"Regular expression of the first line of a record." env:"AGENT_MULTILINE" placeholder:"PATTERN"`
	MaxLine   cli.Bytes       `help:"Longer records are split." default:"64KiB" env:"AGENT_MAX_LINE" placeholder:"SIZE"`
	Version   cli.VersionFlag `help:"Print the version and exit."`
}

const parseDescription = `Shows what the agent would make of files, and which share of their lines it understands: those that tell their time, and their level unless their format is known to have none. Nothing is sent.`

// summary is what was counted of one file.
type summary struct {
	name                string
	records, understood int
	formats, levels     map[string]int
}

// parseFiles is the command. Its exit code is 1 if a file cannot be read.
func parseFiles(args []string, stdout, stderr io.Writer) int {
	var f parseFlags
	parsed, err := cli.Parse(cli.Program{Name: "agent parse", Description: parseDescription}, &f, args, cli.Environment(), stdout)
	if parsed.Done {
		return 0
	}
	// The agent's own settings judge these, with its defaults for the rest.
	var full flags
	_, err2 := cli.Parse(cli.Program{Name: "agent"}, &full, nil, nil, io.Discard)
	full.AgentID, full.BatchBytes = "parse", 128<<10
	full.File, full.Timezone, full.Now, full.Multiline, full.MaxLine = f.Files, f.Timezone, f.Now, f.Multiline, f.MaxLine
	cfg, faults := full.config(parsed)
	if err = cli.Join(err, err2, faults); err != nil {
		return cli.Refuse(stderr, err)
	}
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	code := 0
	var all []summary
	for _, name := range f.Files {
		s, err := parseFile(name, &lines.Splitter{MaxRecord: cfg.MaxLine, First: cfg.Multiline}, rawlog.NewParser(cfg.Location, cfg.Now), cfg.Now, f.Lines, out)
		if err != nil {
			fmt.Fprintf(stderr, "agent parse: %v\n", err)
			code = exitFailed
			continue
		}
		all = append(all, s)
	}
	table(out, all)
	return code
}

// parseFile shows the first records of one file and counts all.
func parseFile(name string, s *lines.Splitter, p *rawlog.Parser, now time.Time, show int, out io.Writer) (summary, error) {
	sum := summary{name: name, formats: map[string]int{}, levels: map[string]int{}}
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return sum, err
		}
		defer f.Close()
		in = f
	}
	st, err := in.Stat()
	if err != nil {
		return sum, err
	}
	if now.IsZero() {
		p.Before(st.ModTime())
	}
	var r rawlog.Record
	each := func(text []byte, _ int, piece lines.Piece) {
		p.Parse(strings.ToValidUTF8(string(text), "\uFFFD"), &r)
		sum.records++
		sum.formats[r.Format.String()]++
		sum.levels[levelOf(&r)]++
		if r.Understood() {
			sum.understood++
		}
		if sum.records <= show {
			showRecord(out, &r)
		}
	}
	if show > 0 {
		fmt.Fprintf(out, "== %s\n", name)
	}
	return sum, eachPacket(in, s, each)
}

// eachPacket cuts a stream as the agent does.
func eachPacket(in io.Reader, s *lines.Splitter, each func([]byte, int, lines.Piece)) error {
	buf, n, mid := make([]byte, max(128<<10, s.MaxRecord)), 0, false
	for {
		got, err := io.ReadAtLeast(in, buf[n:], 1)
		n += got
		flush := lines.Hold
		if err != nil {
			flush = lines.All
		}
		for n > 0 && (err != nil || n == len(buf)) {
			end := s.Cut(buf[:n], n == len(buf), flush)
			if end == 0 {
				break
			}
			s.Each(buf[:end], mid, false, each)
			mid = buf[end-1] != '\n'
			n = copy(buf, buf[end:n])
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func levelOf(r *rawlog.Record) string {
	if r.Level == "" {
		return "none"
	}
	return string(r.Level)
}

func showRecord(out io.Writer, r *rawlog.Record) {
	at := "(time of reading)"
	if !r.Time.IsZero() {
		at = r.Time.Format(time.RFC3339Nano)
	}
	fmt.Fprintf(out, "%-24s %-8s %-9s %-20s %q", at, levelOf(r), r.Format, r.Source, r.Message)
	for _, f := range r.Fields {
		switch {
		case f.JSON != nil:
			fmt.Fprintf(out, " %s=%s", f.Key, f.JSON)
		case f.IsInt:
			fmt.Fprintf(out, " %s=%d", f.Key, f.Int)
		default:
			fmt.Fprintf(out, " %s=%q", f.Key, f.Text)
		}
	}
	fmt.Fprintln(out)
}

// table prints the summaries.
func table(out io.Writer, all []summary) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "file\trecords\tunderstood\tformats\tlevels")
	for _, s := range all {
		share := 100.0
		if s.records > 0 {
			share = 100 * float64(s.understood) / float64(s.records)
		}
		fmt.Fprintf(t, "%s\t%d\t%.1f %%\t%s\t%s\n", s.name, s.records, share, counts(s.formats), counts(s.levels))
	}
	t.Flush()
}

func counts(m map[string]int) string {
	var words []string
	for k, n := range m {
		words = append(words, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(words)
	return strings.Join(words, ", ")
}
