package node

import (
	"slices"

	"sluice/agent/tail"
	"sluice/internal/exposition"
	"sluice/internal/statusweb"
)

// What an agent tells Prometheus. Files are told in sum and by state: their
// names come and go with every rotation; /stats has each of them.
var (
	catalog exposition.Catalog

	info      = catalog.Gauge("sluice_agent_info", "Always 1; the label is the agent's id.", "agent")
	healthy   = catalog.Gauge("sluice_agent_healthy", "0 while packets wait without a distributor, the state cannot be written or a file cannot be read; /health says why.")
	connected = catalog.Gauge("sluice_agent_connected", "1 while there is a connection to a distributor.")
	connects  = catalog.Counter("sluice_agent_connects_total", "Connections made.")

	delivered   = catalog.Counter("sluice_agent_delivered_packets_total", "Packets that a distributor has acknowledged.")
	records     = catalog.Counter("sluice_agent_delivered_records_total", "Records in them.")
	rawBytes    = catalog.Counter("sluice_agent_delivered_bytes_total", "Raw bytes in them.")
	refused     = catalog.Counter("sluice_agent_refused_packets_total", "Packets that will never be taken as they are.")
	unanswered  = catalog.Counter("sluice_agent_unanswered_packets_total", "Packets whose end nobody told before a stop.")
	unsettled   = catalog.Gauge("sluice_agent_unsettled_packets", "Packets that wait for an answer.")
	resends     = catalog.Counter("sluice_agent_resent_packets_total", "Packets sent again.")
	busy        = catalog.Counter("sluice_agent_busy_answers_total", "Packets answered busy or unavailable.")
	sentBytes   = catalog.Counter("sluice_agent_sent_bytes_total", "Bytes of frames sent, those sent again included.")
	encoded     = catalog.Counter("sluice_agent_encoded_records_total", "Records read and put into packets.")
	understood  = catalog.Counter("sluice_agent_understood_records_total", "Those of them whose format was recognised.")
	problems    = catalog.Gauge("sluice_agent_problem_files", "Files that cannot be read, or are refused.")
	stateOK     = catalog.Gauge("sluice_agent_state_writable", "0 while the state cannot be written: a restart would then send again.")
	files       = catalog.Gauge("sluice_agent_files", "Files that are followed, by state.", "state")
	lagBytes    = catalog.Gauge("sluice_agent_lag_bytes", "Bytes in files that are due and not delivered yet.")
	lagSeconds  = catalog.Gauge("sluice_agent_lag_seconds", "Time since the oldest of them was seen.")
	unfinished  = catalog.Gauge("sluice_agent_unfinished_bytes", "Bytes of last lines that have no end yet; they are no lag.")
	truncated   = catalog.Counter("sluice_agent_truncated_unread_bytes_total", "Bytes that were seen in a file before it was truncated, and not read.")
	recovered   = catalog.Counter("sluice_agent_recovered_bytes_total", "Bytes read from copies of such files beyond what was read of them.")
	gone        = catalog.Counter("sluice_agent_gone_unread_bytes_total", "Unread bytes of files that vanished while no agent ran.")
	logDropped  = catalog.Counter("sluice_agent_dropped_log_lines_total", "Lines of the agent's own log that were dropped, because whoever reads it did not take them.")
	streamsOpen = catalog.Gauge("sluice_agent_streams", "Open streams: standard input and connections.")
	streamsRead = catalog.Counter("sluice_agent_stream_read_bytes_total", "Bytes read from streams.")
	streamsDone = catalog.Counter("sluice_agent_stream_delivered_bytes_total", "Bytes of streams that were delivered.")
	streamsLost = catalog.Counter("sluice_agent_stream_lost_bytes_total", "Bytes of streams that were refused, or unanswered when the stream ended.")
)

func newMetrics(n *Node) *exposition.Exposition {
	return exposition.New("agent", &catalog, func(s *exposition.Scrape) {
		st := n.Stats()
		s.Number(info, 1, st.Agent)
		s.Flag(healthy, n.Health().Status == statusweb.Healthy)
		s.Flag(connected, st.Connected)
		s.Number(connects, float64(st.Connects))
		s.Number(delivered, float64(st.DeliveredPackets))
		s.Number(records, float64(st.DeliveredRecords))
		s.Number(rawBytes, float64(st.DeliveredBytes))
		s.Number(refused, float64(st.RefusedPackets))
		s.Number(unanswered, float64(st.UnansweredPackets))
		s.Number(unsettled, float64(st.UnsettledPackets))
		s.Number(resends, float64(st.Resends))
		s.Number(busy, float64(st.Busy))
		s.Number(sentBytes, float64(st.SentBytes))
		s.Number(encoded, float64(st.EncodedRecords))
		s.Number(understood, float64(st.UnderstoodRecords))
		s.Number(problems, float64(st.Problems))
		s.Flag(stateOK, st.StateOK)
		sayFiles(s, st.Files)
		s.Number(truncated, float64(st.TruncatedUnread))
		s.Number(recovered, float64(st.Recovered))
		s.Number(gone, float64(st.GoneUnread))
		s.Number(logDropped, float64(st.DroppedLogLines))
		s.Number(streamsOpen, float64(st.Streams.Open))
		s.Number(streamsRead, float64(st.Streams.Read))
		s.Number(streamsDone, float64(st.Streams.Delivered))
		s.Number(streamsLost, float64(st.Streams.Lost))
	})
}

func sayFiles(s *exposition.Scrape, all []tail.Stat) {
	var bytes, half int64
	var oldest float64
	states := tail.States()
	counts := make([]int, len(states))
	for _, f := range all {
		bytes, half = bytes+f.LagBytes, half+f.Unfinished
		oldest = max(oldest, f.LagSeconds)
		if i := slices.Index(states, f.State); i >= 0 {
			counts[i]++
		}
	}
	for i, state := range states {
		s.Number(files, float64(counts[i]), state)
	}
	s.Number(lagBytes, float64(bytes))
	s.Number(lagSeconds, oldest)
	s.Number(unfinished, float64(half))
}
