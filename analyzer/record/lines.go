package record

import (
	"time"

	"sluice/protocol"
)

// AppendReceipt appends the line that a packet leaves in the receipts. An id
// may hold any bytes; newlines and backslashes are escaped so that a line is
// always one packet, and everything else is as it came.
func AppendReceipt(dst, packetID []byte) []byte {
	for _, c := range packetID {
		switch c {
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\\':
			dst = append(dst, `\\`...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

// AppendMessages appends a line of JSON for each message of a plain body that
// passed the scan. received stands in for a timestamp that is no time.
func AppendMessages(dst, packetID, agentID, body []byte, received time.Time) []byte {
	view, m := protocol.NewView(body), protocol.Message{}
	for view.Next(&m) {
		dst = append(dst, `{"packet_id":`...)
		dst = appendString(dst, packetID)
		dst = append(dst, `,"agent_id":`...)
		dst = appendString(dst, agentID)
		dst = append(dst, `,"timestamp":`...)
		t := m.Timestamp().Time
		if t.IsZero() {
			t = received.UTC()
		}
		dst = appendTime(dst, t)
		dst = append(dst, `,"level":`...)
		dst = appendString(dst, m.Level)
		dst = append(dst, `,"source":`...)
		dst = appendString(dst, m.Source)
		dst = append(dst, `,"message":`...)
		dst = appendString(dst, m.Text)
		dst = append(dst, `,"metadata":`...)
		if m.Metadata == nil {
			dst = append(dst, "{}"...)
		} else {
			dst, _ = appendValue(dst, m.Metadata, 0)
		}
		dst = append(dst, "}\n"...)
	}
	return dst
}
