package deadletter

import (
	"log/slog"
	"os"
	"slices"
	"time"

	"sluice/internal/seglog"
)

// Kind says what becomes of the packets of a file. Immutable.
type Kind string

// The kinds.
const (
	Waiting Kind = "waiting" // to be delivered
	Refused Kind = "refused" // never delivered; kept until somebody drops them
	Damaged Kind = "damaged" // set aside, because it cannot be read
)

// File is a file of a folder. Immutable.
type File struct {
	Name    string
	Kind    Kind
	Packets int // that have no outcome yet; of a damaged file nobody knows
	Bytes   int64
	Since   time.Time // when it was begun

	legacy *LegacyFile
}

// Survey returns the files of a folder, those of an earlier release included,
// without a lock and without a change: also beside a server that runs. What is
// wrong with them goes to log.
func Survey(dir string, log *slog.Logger) ([]File, error) {
	old, err := Legacy(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for i := range old {
		f := &old[i]
		files = append(files, File{Name: f.Name, Kind: kindOf(f.Refused, f.Damaged), Packets: f.Packets, Bytes: f.Bytes, Since: f.Since, legacy: f})
	}
	for _, prefix := range []string{PrefixLetters, PrefixRefused} {
		infos, err := seglog.Survey(dir, prefix, log)
		if err != nil {
			return nil, err
		}
		for _, f := range infos {
			if f.Blocks > 0 || f.Aside { // what is only allocated is of no interest
				files = append(files, File{Name: f.Name, Kind: kindOf(prefix == PrefixRefused, f.Aside), Packets: f.Blocks, Bytes: f.Bytes, Since: f.Since})
			}
		}
	}
	slices.SortStableFunc(files, func(a, b File) int { return a.Since.Compare(b.Since) })
	return files, nil
}

func kindOf(refused, damaged bool) Kind {
	switch {
	case damaged:
		return Damaged
	case refused:
		return Refused
	}
	return Waiting
}

// Each calls show for each packet of a file that has no outcome yet, with its
// frame, header included, borrowed until show returns, and the reason if it was
// refused with one.
func (f File) Each(dir string, show func(frame, reason []byte) error) error {
	switch {
	case f.Kind == Damaged:
		return nil
	case f.legacy != nil:
		return f.legacy.Each(dir, func(frame []byte) error { return show(frame, nil) })
	}
	prefix := PrefixLetters
	if f.Kind == Refused {
		prefix = PrefixRefused
	}
	return seglog.Each(dir, prefix, f.Name, func(b seglog.Block) error {
		_, reason, frame, ok := parseLetter(b.Data)
		if !ok {
			frame = b.Data
		}
		return show(frame, reason)
	})
}

// Drop deletes a file for ever. The folder must be locked.
func (f File) Drop(dir string) error {
	files := seglog.OS{}
	path := dir + string(os.PathSeparator) + f.Name
	if err := files.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	if f.legacy != nil {
		if err := files.Remove(legacyCursorOf(path)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
