package status

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/replication"
)

// TakeOver is the record of the last time that an instance became MASTER, since the start of the director.
type TakeOver struct {
	Time   time.Time `json:"time"`   // when it became MASTER
	Server string    `json:"server"` // the database, ADDRESS:PORT
	// Read is "fresh" if the positions were asked for at the take-over, "held" if they are the last ones before it, because
	// the database did not answer, "none" if there are none.
	Read      string                 `json:"read"`
	ReadAt    time.Time              `json:"read_at,omitzero"` // when they were asked for
	Positions *replication.Positions `json:"positions,omitempty"`
	Error     string                 `json:"error,omitempty"` // why the database did not answer
}
