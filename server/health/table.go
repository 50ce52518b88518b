package health

import (
	"slices"

	"sluice/server/route"
)

// table remembers what was published, so that the same weights are never
// published twice: each table is built and read by all loops, and one that
// says nothing new would only cost. Owned by the Monitor.
type table struct {
	weights []float64 // of the last table; all zero before the first
	next    []float64 // scratch
	publish func(*route.Table)
}

func newTable(n int, publish func(*route.Table)) table {
	return table{weights: make([]float64, n), next: make([]float64, n), publish: publish}
}

// update publishes the effective weights if they are others than before. The
// error is that of weights that no table can be made of, once for each change.
func (p *table) update(targets []target) error {
	for len(p.next) < len(targets) {
		p.next = append(p.next, 0)
	}
	for i := range targets {
		p.next[i] = targets[i].effective()
	}
	if slices.Equal(p.next, p.weights) {
		return nil
	}
	p.weights, p.next = p.next, p.weights
	t, err := route.NewTable(p.weights)
	if err != nil {
		return err
	}
	p.publish(t)
	return nil
}
