package deadletter

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"sluice/internal/await"
)

// model is what the store should have: who holds which places, and the fate of
// everything that was put.
type model struct {
	t       *testing.T
	dir     string
	disk    *badDisk
	store   *Store
	to      *fakeTarget
	held    []int  // sizes of reservations that are neither released nor used
	put     int    // letters and finals have ids p-0 to p-(put-1)
	repeats bool   // a Replay has ended, so that what was in flight may come twice
	end     func() // of the Replay that runs, or nil
}

// check compares the books with the model when nothing is under way.
func (m *model) check() {
	m.t.Helper()
	reserved := int64(0)
	for _, size := range m.held {
		reserved += int64(size)
	}
	await.True(m.t, "the books balance", func() bool {
		st := m.store.Status()
		got, _ := onDisk(m.t, m.dir)
		return st.ReservedBytes == reserved && st.Bytes == got && m.store.used.Load() == got+reserved
	})
}

func (m *model) endReplay() {
	if m.end != nil {
		m.end()
		m.end, m.repeats = nil, true
	}
}

func (m *model) reopen(dir string) {
	m.dir, m.held = dir, nil
	m.store = openStore(m.t, Config{Dir: dir, MaxBytes: 20_000}, m.disk)
}

// refused reads the ids of what was refused for ever.
func (m *model) refused() map[string]int {
	ids := map[string]int{}
	_, names := onDisk(m.t, m.dir)
	for _, name := range names {
		if k, _, _ := parseName(name); k != Refused {
			continue
		}
		data, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			m.t.Fatal(err)
		}
		r := reader{src: sliceReader(data), end: int64(len(data))}
		for off := int64(0); ; {
			frame, err := r.frame(off)
			if err == io.EOF {
				break
			} else if err != nil {
				m.t.Fatal(err)
			}
			ids[idOf(m.t, frame)]++
			off += int64(len(frame))
		}
	}
	return ids
}

type sliceReader []byte

func (s sliceReader) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, s[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestModel: whatever callers, disk, analyzers and operators do in any order,
// no place is lost or given twice, and every frame that was put is delivered or
// refused; exactly once, if no Replay
// was cut short.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: t, disk: goodDisk(), to: newTarget(t)}
		m.reopen(t.TempDir())
		script := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(rt, "answers")
		asked := 0
		m.to.answer = func(string) (Result, bool, error) {
			asked++
			switch script[asked%len(script)] {
			case 0:
				return Result{}, true, io.ErrNoProgress
			case 1:
				return Result{}, true, nil
			case 2:
				return Result{Final: true}, true, nil
			case 3, 4:
				return Result{Delivered: true}, false, nil
			}
			return Result{Delivered: true}, true, nil
		}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": func(rt *rapid.T) {
				size := rapid.IntRange(100, 3000).Draw(rt, "size")
				if m.store.TryReserve(size) {
					m.held = append(m.held, size)
				}
			},
			"release": func(rt *rapid.T) {
				if len(m.held) == 0 {
					rt.Skip()
				}
				m.store.Release(m.held[0])
				m.held = m.held[1:]
			},
			"put": func(rt *rapid.T) {
				if len(m.held) == 0 {
					rt.Skip()
				}
				size := m.held[0]
				frame := packet(m.put, 0)
				frame = packet(m.put, max(0, size-len(frame)))
				// Headers grow with the length; the place must fit exactly.
				m.store.Release(size)
				m.store.overdraw(int64(len(frame)))
				m.held = m.held[1:]
				m.store.Put(frame, rapid.IntRange(0, 4).Draw(rt, "final") == 0)
				m.put++
			},
			"disk": func(rt *rapid.T) {
				which := rapid.IntRange(0, 5).Draw(rt, "fault")
				room := rapid.Int64Range(0, 3000).Draw(rt, "room")
				m.disk.set(func(d *badDisk) {
					d.room, d.syncs, d.truncates, d.creates, d.others = -1, nil, nil, nil, nil
					switch which {
					case 0:
						d.room = room
					case 1:
						d.syncs = errInjected
					case 2:
						d.creates = errInjected
					case 3:
						d.room, d.truncates = room, errInjected
					case 4:
						d.others = errInjected
					}
				})
			},
			"replay": func(rt *rapid.T) {
				if m.end == nil {
					m.end = replaying(m.store, m.to)
				}
			},
			"answer": func(rt *rapid.T) {
				m.to.release(Result{Delivered: rapid.Bool().Draw(rt, "delivered")})
			},
			"stop": func(rt *rapid.T) { m.endReplay() },
			"restart": func(rt *rapid.T) {
				m.heal()
				m.endReplay()
				for _, size := range m.held {
					m.store.Release(size)
				}
				closeStore(t, m.store)
				m.reopen(m.dir)
			},
			"crash": func(rt *rapid.T) {
				m.heal()
				m.check() // written; what is not would be lost
				m.endReplay()
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(m.dir)); err != nil {
					t.Fatal(err)
				}
				_ = m.store.Close(expired())
				m.reopen(dir)
			},
		})
		m.finish(rt)
	})
}

func (m *model) heal() {
	m.disk.set(func(d *badDisk) { d.room, d.syncs, d.truncates, d.creates, d.others = -1, nil, nil, nil, nil })
}

// finish lets everything end well, and looks for what is missing.
func (m *model) finish(rt *rapid.T) {
	m.heal()
	if m.end == nil {
		m.end = replaying(m.store, m.to)
	}
	m.to.mu.Lock()
	m.to.answer = nil
	m.to.mu.Unlock()
	await.True(m.t, "everything has its fate", func() bool {
		m.to.release(Result{Delivered: true})
		return m.store.Status().Packets == 0 && m.store.Status().Writable
	})
	m.end()
	m.check()
	refused := m.refused()
	for i := range m.put {
		id := fmt.Sprintf("p-%d", i)
		fates := m.to.deliverd[id] + refused[id]
		if fates == 0 || fates > 1 && !m.repeats {
			rt.Fatalf("%s has %d fates", id, fates)
		}
	}
	closeStore(m.t, m.store)
}
