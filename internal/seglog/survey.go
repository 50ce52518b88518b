package seglog

import (
	"io/fs"
	"log/slog"
	"time"
)

// Info is a file of a log as a survey finds it. Immutable.
type Info struct {
	Name   string
	Blocks int // that are not settled; of one that was set aside nobody knows
	Bytes  int64
	Since  time.Time // when it was begun
	Aside  bool      // it is damaged
}

// Survey returns the files of a log by age, without a lock and without a
// change: also beside a process that writes. What is wrong goes to log.
func Survey(dir, prefix string, log *slog.Logger) ([]Info, error) {
	l := &Log{cfg: Config{Dir: dir, Prefix: prefix}, fs: OS{}, log: log}
	found, aside, err := l.survey(false)
	if err != nil {
		return nil, err
	}
	var list []Info
	for name, size := range aside {
		sequence, _, _ := ParseName(prefix, name)
		list = append(list, Info{Name: name, Bytes: size, Since: CreatedAt(sequence), Aside: true})
	}
	for _, s := range found {
		list = append(list, Info{Name: s.name, Blocks: s.left, Bytes: s.end, Since: CreatedAt(s.sequence)})
	}
	return list, nil
}

// Each calls show for each block of a segment that is not settled, without a
// lock. Data is borrowed until show returns.
func Each(dir, prefix, name string, show func(Block) error) error {
	sequence, aside, ours := ParseName(prefix, name)
	if !ours || aside {
		return fs.ErrNotExist
	}
	l := &Log{cfg: Config{Dir: dir, Prefix: prefix}, fs: OS{}, log: slog.New(slog.DiscardHandler)}
	l.read.log = l
	defer l.read.dropAll()
	s := &segment{name: name, sequence: sequence}
	if err := l.inspect(s, false); err != nil {
		return err
	}
	s.open = true // nothing is to be done with it at its end
	l.segments = []*segment{s}
	r := l.NewReader()
	for {
		b, ok := r.Next()
		if !ok {
			return nil
		}
		if err := show(b); err != nil {
			return err
		}
	}
}
