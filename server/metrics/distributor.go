package metrics

import (
	"sluice/internal/exposition"
	"sluice/server/stats"
)

// The ledger: at any moment received = delivered + rejected + dead-lettered +
// abandoned + in the queue + in flight.
var (
	received         = catalog.Counter("sluice_received_packets_total", "Data packets received, in all ways and from everybody, refused ones included.")
	receivedMessages = catalog.Counter("sluice_received_messages_total", "Messages in those of them that passed the scan.")
	receivedBytes    = catalog.Counter("sluice_received_bytes_total", "Bytes of the packets received, with their headers.")
	delivered        = catalog.Counter("sluice_delivered_packets_total", "Packets that an analyzer has acknowledged.")
	rejected         = catalog.Counter("sluice_rejected_packets_total", "Packets that were answered with a NACK, or over HTTP with what corresponds to it, by its code.", "code")
	redispatched     = catalog.Counter("sluice_redispatched_packets_total", "Hand-overs of a packet again, because the one before failed: retries.")
	spilled          = catalog.Counter("sluice_spilled_packets_total", "Packets given to another analyzer than the one that was picked, nothing having failed.")
	deadLettered     = catalog.Counter("sluice_dead_lettered_packets_total", "Packets answered 202 that no analyzer took, and that went to the dead-letter folder.")
	abandoned        = catalog.Counter("sluice_abandoned_packets_total", "Admitted packets that no analyzer took after their sender was gone.")
	inFlight         = catalog.Gauge("sluice_in_flight_packets", "Packets staged for an analyzer or handed to it, and not yet acknowledged.")
	unaccounted      = catalog.Gauge("sluice_unaccounted_packets", "What the ledger cannot explain: 0, or there is a bug.")
	lateAnswers      = catalog.Counter("sluice_late_answers_total", "Answers of analyzers to packets that were answered before.")
	falseAcks        = catalog.Counter("sluice_false_acks_total", "Answers of analyzers to what was never sent to them; each costs the link.")
)

func sayTraffic(s *exposition.Scrape, n *stats.Snapshot) {
	s.Number(received, float64(n.ReceivedPackets))
	s.Number(receivedMessages, float64(n.ReceivedMessages))
	s.Number(receivedBytes, float64(n.ReceivedBytes))
	s.Number(delivered, float64(n.DeliveredPackets))
	each(s, rejected, n.RejectedPackets)
	s.Number(redispatched, float64(n.RedispatchedPackets))
	s.Number(spilled, float64(n.SpilledPackets))
	s.Number(deadLettered, float64(n.DeadLetteredPackets))
	s.Number(abandoned, float64(n.AbandonedPackets))
	s.Number(inFlight, float64(n.InFlightPackets))
	s.Number(unaccounted, float64(n.UnaccountedPackets))
	s.Number(lateAnswers, float64(n.LateAnswers))
	s.Number(falseAcks, float64(n.FalseAcks))
}

// The process and the room that it has.
var (
	uptime     = catalog.Gauge("sluice_uptime_seconds", "Time since the distributor started.")
	logDropped = catalog.Counter("sluice_dropped_log_lines_total", "Lines of the log that were dropped, because whoever reads it did not take them.")
	loops      = catalog.Gauge("sluice_loops", "Event loops; each has a link of its own to every analyzer.")
	draining   = catalog.Gauge("sluice_draining", "1 while the distributor is stopping.")
	queue      = catalog.Gauge("sluice_queue_packets", "Packets that wait because no analyzer has room.")
	queueMax   = catalog.Gauge("sluice_queue_max_packets", "Packets that may wait; beyond them senders are told busy, or 503.")
	budgetUsed = catalog.Gauge("sluice_byte_budget_used_bytes", "Memory taken by packets that are not yet acknowledged.")
	budgetMax  = catalog.Gauge("sluice_byte_budget_max_bytes", "Memory that they may take; beyond it senders are told busy, or 503.")
)

// The configuration.
var (
	generation = catalog.Gauge("sluice_config_generation", "The configuration in force: 1 is that of the start, one more with each reload.")
	loadedAt   = catalog.Gauge("sluice_config_loaded_timestamp_seconds", "When it was loaded.")
	reloaded   = catalog.Gauge("sluice_config_last_reload_successful", "0 if the last reload was refused and the configuration before stays in force.")
)

func sayConfig(s *exposition.Scrape, n *stats.Snapshot) {
	s.Number(generation, float64(n.ConfigGeneration))
	s.Number(loadedAt, seconds(n.ConfigLoadedAt))
	s.Flag(reloaded, n.ConfigLastError == "")
}

func sayRoom(s *exposition.Scrape, n *stats.Snapshot) {
	s.Number(uptime, n.UptimeSeconds)
	s.Number(logDropped, float64(n.DroppedLogLines))
	s.Number(loops, float64(n.Loops))
	s.Flag(draining, n.Draining)
	s.Number(queue, float64(n.QueuedPackets))
	s.Number(queueMax, float64(n.MaxQueuedPackets))
	s.Number(budgetUsed, float64(n.ByteBudget.UsedBytes))
	s.Number(budgetMax, float64(n.ByteBudget.MaxBytes))
}

// The dead-letter folder.
var (
	letters         = catalog.Gauge("sluice_dead_letter_packets", "Packets in the dead-letter folder that wait for delivery.")
	lettersRefused  = catalog.Gauge("sluice_dead_letter_refused_packets", "Packets in it that an analyzer refused permanently; they stay until somebody drops them.")
	lettersReplayed = catalog.Counter("sluice_dead_letter_replayed_packets_total", "Packets delivered from it.")
	lettersDamaged  = catalog.Gauge("sluice_dead_letter_damaged_files", "Files in it that were set aside, for people to look at.")
	lettersBytes    = catalog.Gauge("sluice_dead_letter_bytes", "Bytes of all files in it.")
	lettersReserved = catalog.Gauge("sluice_dead_letter_reserved_bytes", "Bytes of it promised to packets answered 202 and on their way.")
	lettersMax      = catalog.Gauge("sluice_dead_letter_max_bytes", "Bytes that it may have, reserved ones included.")
	lettersOldest   = catalog.Gauge("sluice_dead_letter_oldest_timestamp_seconds", "When the oldest file with packets that wait was begun; absent while none waits.")
	lettersWritable = catalog.Gauge("sluice_dead_letter_writable", "0 while it cannot be written, and /ingest answers 503 therefore.")
	lettersFull     = catalog.Gauge("sluice_dead_letter_full", "1 while it has no room, and /ingest answers 503 therefore.")
)

func sayDeadLetters(s *exposition.Scrape, d *stats.DeadLetters) {
	s.Number(letters, float64(d.Packets))
	s.Number(lettersRefused, float64(d.RefusedPackets))
	s.Number(lettersReplayed, float64(d.ReplayedPackets))
	s.Number(lettersDamaged, float64(d.DamagedFiles))
	s.Number(lettersBytes, float64(d.Bytes))
	s.Number(lettersReserved, float64(d.ReservedBytes))
	s.Number(lettersMax, float64(d.MaxBytes))
	if d.OldestAt != nil {
		s.Number(lettersOldest, seconds(*d.OldestAt))
	}
	s.Flag(lettersWritable, d.Writable)
	s.Flag(lettersFull, d.Full)
}

// Agents' connections and HTTP.
var (
	sessions     = catalog.Gauge("sluice_sessions", "Connections of agents that the loops serve.")
	hungUp       = catalog.Counter("sluice_hung_up_sessions_total", "Connections of agents that were closed for a fault of theirs.")
	connections  = catalog.Gauge("sluice_connections_open", "Connections of agents that count against the limit.")
	connMax      = catalog.Gauge("sluice_connections_max", "Connections of agents that may be open; more are told GOAWAY overload.")
	accepted     = catalog.Counter("sluice_connections_accepted_total", "Connections of agents that were given to a loop.")
	refused      = catalog.Counter("sluice_connections_refused_total", "Connections of agents that were turned away, by why: the limit, the limit per address, a loop that could not take one.", "reason")
	acceptErrors = catalog.Counter("sluice_accept_errors_total", "Failures to accept connections of agents, by what was lacking.", "reason")
	requests     = catalog.Counter("sluice_http_requests_total", "HTTP requests.")
	httpRefused  = catalog.Counter("sluice_http_refused_requests_total", "HTTP requests and connections that were refused, by why.", "reason")
)

func sayPeers(s *exposition.Scrape, n *stats.Snapshot) {
	s.Number(sessions, float64(n.Sessions))
	s.Number(hungUp, float64(n.HungUpSessions))
	s.Number(connections, float64(n.Connections.Open))
	s.Number(connMax, float64(n.Connections.Max))
	s.Number(accepted, float64(n.Connections.Accepted))
	each(s, refused, n.Connections.Refused)
	each(s, acceptErrors, n.Connections.AcceptErrors)
	s.Number(requests, float64(n.HTTP.Requests))
	each(s, httpRefused, n.HTTP.Refused)
}

// each says one number for each reason.
func each(s *exposition.Scrape, m *exposition.Metric, by map[string]uint64) {
	for reason, n := range by {
		s.Number(m, float64(n), reason)
	}
}
