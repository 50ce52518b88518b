package node

import (
	"sluice/internal/exposition"
	"sluice/internal/statusweb"
)

// What an analyzer tells Prometheus. Sources and agents are in /stats alone:
// their names come from senders, and each would be a time series.
var (
	catalog exposition.Catalog

	info        = catalog.Gauge("sluice_analysis_info", "Always 1; the label is the analyzer's name.", "name")
	healthy     = catalog.Gauge("sluice_analysis_healthy", "0 while packets are not taken, or receipts or output cannot be written; /health says why.")
	connections = catalog.Gauge("sluice_analysis_connections", "Open connections of distributors and agents.")
	packets     = catalog.Counter("sluice_analysis_received_packets_total", "Packets that were acknowledged, duplicates included.")
	messages    = catalog.Counter("sluice_analysis_received_messages_total", "Messages in them; none with --discard.")
	bytes       = catalog.Counter("sluice_analysis_received_bytes_total", "Bytes of them as received, with their headers.")
	duplicates  = catalog.Counter("sluice_analysis_duplicate_packets_total", "Packets whose packet_id was seen before, as far as it is remembered.")
	invalid     = catalog.Counter("sluice_analysis_invalid_packets_total", "Frames that were no packets.")
	levels      = catalog.Counter("sluice_analysis_messages_by_level_total", "Messages by their level.", "level")
	logDropped  = catalog.Counter("sluice_analysis_dropped_log_lines_total", "Lines of the log that were dropped, because whoever reads it did not take them.")
)

func newMetrics(n *Node) *exposition.Exposition {
	return exposition.New("analyzer", &catalog, func(s *exposition.Scrape) {
		st := n.Stats()
		s.Number(info, 1, st.Name)
		s.Flag(healthy, n.Health().Status == statusweb.Healthy)
		s.Number(connections, float64(st.Connections))
		s.Number(packets, float64(st.ReceivedPackets))
		s.Number(messages, float64(st.ReceivedMessages))
		s.Number(bytes, float64(st.ReceivedBytes))
		s.Number(duplicates, float64(st.DuplicatePackets))
		s.Number(invalid, float64(st.InvalidPackets))
		s.Number(logDropped, float64(st.DroppedLogLines))
		for level, count := range st.ByLevel {
			s.Number(levels, float64(count), level)
		}
	})
}
