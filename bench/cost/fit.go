package cost

import (
	"errors"
	"math"
)

// fit returns the coefficients, none of them negative, with which the rows come
// nearest to the values y, by the least sum of squares of relative errors.
//
// Costs cannot be negative: an ordinary fit balances two terms that rise
// together by a negative one of them, and is absurd as soon as it extrapolates.
// Relative errors, because the values lie three powers of ten apart, and small
// packets would else not count at all. Coordinate descent is slow and simple;
// the problem is convex, and there are 8 coefficients.
func fit(rows [][]float64, y []float64) ([]float64, error) {
	if len(rows) == 0 || len(rows) < len(rows[0]) || len(y) != len(rows) {
		return nil, errors.New("fewer points than coefficients")
	}
	n := len(rows[0])
	gram, right := make([][]float64, n), make([]float64, n)
	for j := range n {
		gram[j] = make([]float64, n)
	}
	for i, row := range rows {
		if y[i] <= 0 {
			return nil, errors.New("a measured value is not positive")
		}
		for j := range n {
			right[j] += row[j] / y[i]
			for k := range n {
				gram[j][k] += row[j] * row[k] / (y[i] * y[i])
			}
		}
	}
	x := make([]float64, n)
	for range maxSweeps {
		moved := 0.0
		for j := range n {
			if gram[j][j] == 0 {
				continue // a term that no point has
			}
			gradient := right[j]
			for k := range n {
				gradient -= gram[j][k] * x[k]
			}
			next := max(x[j]+gradient/gram[j][j], 0)
			// In units of what the term adds to a relative error.
			moved = max(moved, math.Abs(next-x[j])*math.Sqrt(gram[j][j]/float64(len(rows))))
			x[j] = next
		}
		if moved < 1e-12 {
			return x, nil
		}
	}
	return nil, errors.New("the fit does not converge: two terms are the same")
}

// maxSweeps takes well under a second.
const maxSweeps = 2_000_000

func dot(row, x []float64) (sum float64) {
	for i := range row {
		sum += row[i] * x[i]
	}
	return sum
}
