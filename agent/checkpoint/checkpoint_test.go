package checkpoint

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// crash gives the lock free without saving, as a killed process does.
func crash(s *Store) { s.lock.Close() }

func TestNothingIsForgottenInACrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "state")
	s := open(t, dir)
	if !s.Fresh() {
		t.Error("a new folder is not fresh")
	}
	s.Begin(File{ID: "f", Path: "/x", Ino: 7, Start: 5, Acked: 5})
	for _, end := range []int64{10, 20, 30, 40} {
		s.Cut("f", end)
	}
	s.Cut("f", 15) // not ascending: not a cut
	s.Acked([]Ack{{"f", 20, 99}, {"unknown", 7, 7}})
	want := File{ID: "f", Path: "/x", Ino: 7, Start: 5, Acked: 20, Sum: 99, Size: 20, Cuts: []int64{30, 40}}
	for range 3 { // the same after each crash, whatever the journal's number
		crash(s)
		s = open(t, dir)
		if got := s.Files(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	s.Recut("f")
	s.Begin(File{ID: "g"})
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	s.Acked([]Ack{{"f", 25, 100}})
	crash(s)
	s = open(t, dir)
	if s.Fresh() {
		t.Error("fresh with a picture")
	}
	if f, _ := s.Get("f"); f.Acked != 25 || f.Sum != 100 || len(f.Cuts) > 0 {
		t.Errorf("%+v", f)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "journal.*")); len(names) != 1 {
		t.Errorf("journals %v, want one", names)
	}
}

// A crash between the new journal and the picture leaves both journals to read;
// a torn last line is passed over.
func TestJournalsSinceThePicture(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.Begin(File{ID: "f"})
	s.Cut("f", 10)
	if _, _, err := s.turnJournal(); err != nil { // and the picture is never written
		t.Fatal(err)
	}
	s.Acked([]Ack{{"f", 10, 1}})
	s.Cut("f", 20)
	s.journal.WriteString("cut f 3")
	crash(s)
	s = open(t, dir)
	if f, _ := s.Get("f"); f.Acked != 10 || !reflect.DeepEqual(f.Cuts, []int64{20}) {
		t.Errorf("%+v", f)
	}
	crash(s)
}

func TestFolderIsLockedAndOfOneAgent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir, "a", s.log); err == nil {
		t.Error("two agents in one folder")
	}
	s.Close()
	if _, err := Open(dir, "b", s.log); err == nil {
		t.Error("another agent's state was taken")
	}
	if err := os.WriteFile(filepath.Join(dir, pictureName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "a", s.log); err == nil {
		t.Error("a damaged picture was taken for none")
	}
}

func TestOldEndsAreForgotten(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	s.Begin(File{ID: "old", Ended: time.Now().Add(-keepEnded - time.Hour)})
	s.Begin(File{ID: "new", Ended: time.Now()})
	s.Begin(File{ID: "live"})
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if got := s.Files(); len(got) != 2 || got[0].ID != "live" || got[1].ID != "new" {
		t.Errorf("%+v", got)
	}
}

// A life that is over stays over in a crash: the next on its inode has the same
// first bytes, perhaps.
func TestEndSurvivesACrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.Begin(File{ID: "f", Ino: 7})
	s.Acked([]Ack{{"f", 20, 99}})
	at := time.Now().Round(0).UTC()
	s.End("f", func(f *File) { f.Ended, f.Why = at, "truncated" })
	crash(s)
	s = open(t, dir)
	if f, _ := s.Get("f"); !f.Ended.Equal(at) || f.Why != "truncated" || f.Acked != 20 {
		t.Errorf("%+v", f)
	}
}

// While nothing can be written there must not be one more journal each second.
func TestJournalsDoNotPileUp(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, pictureName+".new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		s.Update("", nil)
		s.dirty = true
		if err := s.Save(); err == nil {
			t.Fatal("saved")
		}
	}
	if n, err := s.journals(); err != nil || len(n) > 1 {
		t.Errorf("journals %v, %v", n, err)
	}
}
