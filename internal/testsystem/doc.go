// Package testsystem builds Sluice's programs, of this tree or of a commit, and
// runs analyzers and a distributor of them as processes, for tests and
// measurements over loopback.
//
//	s := testsystem.Start(t, testsystem.Options{Server: now, Analyzer: before, Weights: []float64{2, 1}})
//	s.Run("loadgen", now.Path("loadgen"), "--addr", s.Addr, "-n", "1000")
//	st := s.AwaitQuiet()
package testsystem
