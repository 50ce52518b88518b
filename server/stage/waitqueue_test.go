package stage

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWaitQueue holds queues that share their places against plain lists.
func TestWaitQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var places Places
		places.SetLimit(10)
		queues := []WaitQueue{NewWaitQueue(&places), NewWaitQueue(&places)}
		lists := [2][]uint64{}
		next, reserved := uint64(0), 0
		which := rapid.IntRange(0, 1)
		t.Repeat(map[string]func(*rapid.T){
			"back": func(t *rapid.T) {
				next++
				i := which.Draw(t, "queue")
				queues[i].PushBack(Entry{Number: next})
				lists[i] = append(lists[i], next)
			},
			"front": func(t *rapid.T) {
				next++
				i := which.Draw(t, "queue")
				queues[i].PushFront(Entry{Number: next})
				lists[i] = append([]uint64{next}, lists[i]...)
			},
			"pop": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				if len(lists[i]) == 0 {
					return
				}
				front := queues[i].Front().Number
				if e := queues[i].Pop(); e.Number != lists[i][0] || front != e.Number {
					t.Fatalf("popped %d, want %d", e.Number, lists[i][0])
				}
				lists[i] = lists[i][1:]
			},
			"move": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				if rapid.Bool().Draw(t, "all") {
					queues[i].MoveAll(&queues[1-i])
					lists[1-i], lists[i] = append(lists[1-i], lists[i]...), nil
				} else if len(lists[i]) > 0 {
					queues[i].MoveFront(&queues[1-i])
					lists[1-i], lists[i] = append(lists[1-i], lists[i][0]), lists[i][1:]
				}
			},
			"take": func(t *rapid.T) {
				i, rest := which.Draw(t, "queue"), uint64(rapid.IntRange(0, 2).Draw(t, "rest"))
				var taken []uint64
				queues[i].TakeIf(func(e *Entry) bool {
					if e.Number%3 == rest {
						taken = append(taken, e.Number)
						return true
					}
					return false
				})
				var kept, want []uint64
				for _, n := range lists[i] {
					if n%3 == rest {
						want = append(want, n)
					} else {
						kept = append(kept, n)
					}
				}
				if !slices.Equal(taken, want) {
					t.Fatalf("took %v, want %v", taken, want)
				}
				lists[i] = kept
			},
			"reserve": func(t *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(t, "n")
				sum := len(lists[0]) + len(lists[1]) + reserved
				if got, want := places.TryTake(n), sum+n <= 10; got != want {
					t.Fatalf("%d of 10 are taken, %d more: %v", sum, n, got)
				} else if got {
					reserved += n
				}
			},
			"": func(t *rapid.T) {
				for i := range queues {
					if queues[i].Len() != len(lists[i]) {
						t.Fatalf("queue %d has %d, want %d", i, queues[i].Len(), len(lists[i]))
					}
				}
				if got, want := places.Taken(), len(lists[0])+len(lists[1])+reserved; got != want {
					t.Fatalf("%d places are taken, want %d", got, want)
				}
			},
		})
	})
}
