package cli

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Seconds is a duration that may be written without a unit: 5, 0.5, 500ms, 2m.
type Seconds time.Duration

// UnmarshalText reads it; at most 10⁹ seconds.
func (s *Seconds) UnmarshalText(text []byte) error {
	if f, err := strconv.ParseFloat(string(text), 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > 1e9 {
			return fmt.Errorf("%q is out of range", text)
		}
		*s = Seconds(f * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time: want seconds or a unit, as in 5, 0.5, 500ms, 2m", text)
	}
	*s = Seconds(d)
	return nil
}
