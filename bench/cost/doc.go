// Package cost is a model of what a packet costs the distributor: CPU by
// packet, byte, agent and analyzer, and memory. It knows the points at which
// that is measured, which of them are kept from the fit, and how a model is
// fitted and judged. It is pure: bench/peers measures and writes.
package cost
