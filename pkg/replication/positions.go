package replication

import (
	"fmt"
	"strconv"
	"strings"
)

// Positions is what a server has said about its binary log and its replication.
type Positions struct {
	Version  string `json:"version"` // @@version: "10.11.6-MariaDB-log"
	ServerID uint64 `json:"server_id"`
	ReadOnly bool   `json:"read_only"`
	// BinaryLog is the end of the server's own binary log; nil if it has none, or Unread says why it is not known.
	BinaryLog *LogPosition `json:"binary_log,omitempty"`
	// GTIDs is @@gtid_executed of MySQL, @@gtid_current_pos of MariaDB; "" without GTIDs.
	GTIDs string `json:"gtids,omitempty"`
	// Sources are the servers that it replicates from, in the server's order.
	Sources []Source `json:"sources,omitempty"`
	// Unread is what could not be read, and why; empty if everything was. ReplicationUnread is the one of them that is about
	// Sources.
	Unread            []string `json:"unread,omitempty"`
	ReplicationUnread string   `json:"-"`
}

// LogPosition is a place in a binary log. The zero value is no place.
type LogPosition struct {
	File   string `json:"file"`
	Offset uint64 `json:"position"` // in bytes
}

// String returns FILE:OFFSET.
func (p LogPosition) String() string { return fmt.Sprintf("%s:%d", p.File, p.Offset) }

// Source is the state of the replication from one server: a row of SHOW REPLICA STATUS or SHOW ALL SLAVES STATUS.
type Source struct {
	Channel string `json:"channel,omitempty"` // "" for the default one
	Host    string `json:"host"`
	Port    int    `json:"port"`
	// Receiving and Applying are the states of the two threads in the server's words: Yes, No, Connecting, Preparing.
	Receiving string `json:"receiving"`
	Applying  string `json:"applying"`
	// Received is how far the source's binary log was received, Applied how far it was applied.
	Received LogPosition `json:"received"`
	Applied  LogPosition `json:"applied"`
	// ReceivedGTIDs and AppliedGTIDs are the same as MySQL's GTID sets or MariaDB's GTID positions; "" without GTIDs.
	ReceivedGTIDs string `json:"received_gtids,omitempty"`
	AppliedGTIDs  string `json:"applied_gtids,omitempty"`
	// Behind is Seconds_Behind_Source; nil if the server does not know it.
	Behind *int   `json:"seconds_behind,omitempty"`
	Error  string `json:"error,omitempty"` // the last error of either thread
}

// SourceOf reads a row of SHOW REPLICA STATUS, SHOW SLAVE STATUS or SHOW ALL SLAVES STATUS of any version. Columns that are
// missing or NULL are not in the row.
func SourceOf(row map[string]string) Source {
	r := columns(row)
	s := Source{
		Channel: r.text("Channel_Name", "Connection_name"), Host: r.text("Source_Host", "Master_Host"), Port: int(r.number("Source_Port", "Master_Port")),
		Receiving: r.text("Replica_IO_Running", "Slave_IO_Running"), Applying: r.text("Replica_SQL_Running", "Slave_SQL_Running"),
		Received:      LogPosition{File: r.text("Source_Log_File", "Master_Log_File"), Offset: r.number("Read_Source_Log_Pos", "Read_Master_Log_Pos")},
		Applied:       LogPosition{File: r.text("Relay_Source_Log_File", "Relay_Master_Log_File"), Offset: r.number("Exec_Source_Log_Pos", "Exec_Master_Log_Pos")},
		ReceivedGTIDs: r.gtids("Retrieved_Gtid_Set", "Gtid_IO_Pos"), AppliedGTIDs: r.gtids("Executed_Gtid_Set", "Gtid_Slave_Pos"),
		Error: r.text("Last_SQL_Error"),
	}
	if s.Error == "" {
		s.Error = r.text("Last_IO_Error")
	}
	if n, err := strconv.Atoi(r.text("Seconds_Behind_Source", "Seconds_Behind_Master")); err == nil {
		s.Behind = &n
	}
	return s
}

type columns map[string]string

// text returns the first of some columns that has a text.
func (c columns) text(names ...string) string {
	for _, name := range names {
		if s := c[name]; s != "" {
			return s
		}
	}
	return ""
}

// number returns the first of some columns as a number; 0 if it is none.
func (c columns) number(names ...string) uint64 {
	n, _ := strconv.ParseUint(c.text(names...), 10, 64)
	return n
}

// gtids returns a set without the newlines that MySQL puts into it.
func (c columns) gtids(names ...string) string {
	return strings.Join(strings.Fields(c.text(names...)), "")
}

// Progress is how far a relay log has been applied, the best first. The zero value is none: nothing is known.
type Progress uint8

const (
	// Done: all that was received has been applied.
	Done Progress = iota + 1
	// Pending: there is more, and the applying thread runs.
	Pending
	// Stuck: there is more, and the applying thread does not run.
	Stuck
)

// Progress returns how far the relay log of the source has been applied, and a sentence about it.
//
// By its place in the source's binary log it is done when Applied has reached Received. That is never so if the source died in
// the middle of a transaction; then the GTIDs tell, which do not count such a part.
func (s Source) Progress() (Progress, string) {
	from := fmt.Sprintf("from %s:%d", s.Host, s.Port)
	switch {
	case s.Received.File == "" && s.ReceivedGTIDs == "":
		return Done, "nothing was received " + from
	case s.Received.File != "" && s.Received.File == s.Applied.File && s.Applied.Offset >= s.Received.Offset, s.containsGTIDs():
		return Done, "all that was received " + from + " has been applied"
	}
	what := fmt.Sprintf("received %s up to %s, applied up to %s", from, s.Received, s.Applied)
	if s.Applying == "Yes" {
		return Pending, what
	}
	why := s.Error
	if why == "" {
		why = "it is " + s.Applying
	}
	return Stuck, what + "; the applying thread has stopped: " + why
}

// containsGTIDs reports whether the GTIDs show that all that was received has been applied.
func (s Source) containsGTIDs() bool {
	if s.ReceivedGTIDs == "" {
		return false
	}
	if received, err := ParseSet(s.ReceivedGTIDs); err == nil {
		applied, err := ParseSet(s.AppliedGTIDs)
		return err == nil && received.In(applied)
	}
	received, err1 := ParseDomains(s.ReceivedGTIDs)
	applied, err2 := ParseDomains(s.AppliedGTIDs)
	return err1 == nil && err2 == nil && received.In(applied)
}

// Progress returns how far all relay logs have been applied, and a sentence about the one that is furthest behind.
func (p Positions) Progress() (Progress, string) {
	worst, text := Done, "it replicates from no server"
	for n, s := range p.Sources {
		if progress, why := s.Progress(); n == 0 || progress > worst {
			worst, text = progress, why
		}
	}
	return worst, text
}

// Summary is one line for people, without long GTID sets.
func (p Positions) Summary() string {
	var parts []string
	if p.BinaryLog != nil {
		parts = append(parts, "binary log "+p.BinaryLog.String())
	}
	if p.GTIDs != "" {
		parts = append(parts, "GTIDs "+shorten(p.GTIDs))
	}
	for _, s := range p.Sources {
		parts = append(parts, fmt.Sprintf("of %s:%d received %s, applied %s", s.Host, s.Port, place(s.Received), place(s.Applied)))
	}
	parts = append(parts, p.Unread...)
	if len(parts) == 0 {
		return "no binary log, no replication"
	}
	return strings.Join(parts, "; ")
}

func place(p LogPosition) string {
	if p.File == "" {
		return "nothing"
	}
	return p.String()
}

// shorten cuts a GTID set for people; the record has the whole of it.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
