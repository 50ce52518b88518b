package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	pictureName = "checkpoint.json"
	version     = 1
)

// picture is checkpoint.json.
type picture struct {
	Version int     `json:"version"`
	Agent   string  `json:"agent"`
	Journal uint64  `json:"journal"` // the first that this picture does not cover whole
	Files   []*File `json:"files"`
}

// load reads the picture and the journals since.
func (s *Store) load() error {
	text, err := os.ReadFile(filepath.Join(s.dir, pictureName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var p picture
	if err == nil {
		if err := json.Unmarshal(text, &p); err != nil {
			return s.damaged(err)
		}
		if slices.Contains(p.Files, nil) {
			return s.damaged(errors.New("a file is null"))
		}
		if p.Version != version {
			return fmt.Errorf("%s has version %d, this agent knows %d", filepath.Join(s.dir, pictureName), p.Version, version)
		}
		if p.Agent != s.agent {
			return fmt.Errorf("%s is the state of agent %q, and this is %q", s.dir, p.Agent, s.agent)
		}
		s.fresh = false
	}
	for _, f := range p.Files {
		s.files[f.ID] = f
	}
	numbers, err := s.journals()
	if err != nil {
		return err
	}
	for _, n := range numbers {
		s.number = max(s.number, n)
		if n < p.Journal {
			continue
		}
		if err := s.replay(n); err != nil {
			return err
		}
	}
	return nil
}

// damaged does not go on by itself: to forget what was delivered is for people to
// decide.
func (s *Store) damaged(err error) error {
	return fmt.Errorf("%s is damaged: %w; move the folder away to begin anew, which ships all files again", filepath.Join(s.dir, pictureName), err)
}

// Save writes a new picture if there is anything new, syncs it, and begins a
// new journal. It must not be called more often than syncs are wanted.
func (s *Store) Save() error {
	if s.dir == "" {
		return nil
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	text, number, err := s.turnJournal()
	if err != nil || text == nil {
		return err
	}
	err = writeSynced(s.dir, pictureName, text)
	s.mu.Lock()
	s.failed(err)
	if err != nil {
		s.dirty = true
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	old, err := s.journals()
	for _, n := range old {
		if n < number {
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, journalName(n))))
		}
	}
	return err
}

// turnJournal begins a new journal and draws the picture that covers all older
// ones, in one step: an event is in the picture or in the new journal. nil: there
// is nothing new.
func (s *Store) turnJournal() (text []byte, number uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty && s.journal != nil {
		return nil, 0, nil
	}
	// A journal that nothing was written to is as good as a new one: on a full disk
	// there would be one more each second.
	if s.journal == nil || s.begun {
		next, err := os.OpenFile(filepath.Join(s.dir, journalName(s.number+1)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			s.failed(err)
			return nil, 0, err
		}
		if s.journal != nil {
			s.journal.Close()
		}
		s.journal, s.begun = next, false
		s.number++
	}
	s.forget(time.Now())
	p := picture{Version: version, Agent: s.agent, Journal: s.number, Files: make([]*File, 0, len(s.files))}
	for _, f := range s.files {
		p.Files = append(p.Files, f)
	}
	slices.SortFunc(p.Files, func(a, b *File) int { return strings.Compare(a.ID, b.ID) })
	text, err = json.MarshalIndent(p, "", " ")
	s.dirty = false
	return text, s.number, err
}

// writeSynced replaces a file so that after a crash it is the old or the new.
func writeSynced(dir, name string, text []byte) error {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Run saves once a second until stop is closed. The last save is Close's.
func (s *Store) Run(stop <-chan struct{}) {
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			_ = s.Save() // told as a change of state by failed
		}
	}
}

// Close saves and gives the folder free.
func (s *Store) Close() error {
	err := s.Save()
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		err = errors.Join(err, s.journal.Close())
		s.journal = nil
	}
	return errors.Join(err, s.lock.Close())
}
