package ipvs

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// numbers are the commands and attributes that this package uses, by their names in the kernel's header.
var numbers = map[string]int{
	"IPVS_CMD_NEW_SERVICE": cmdNewService, "IPVS_CMD_SET_SERVICE": cmdSetService, "IPVS_CMD_DEL_SERVICE": cmdDelService, "IPVS_CMD_GET_SERVICE": cmdGetService,
	"IPVS_CMD_NEW_DEST": cmdNewDest, "IPVS_CMD_SET_DEST": cmdSetDest, "IPVS_CMD_DEL_DEST": cmdDelDest, "IPVS_CMD_GET_DEST": cmdGetDest,
	"IPVS_CMD_NEW_DAEMON": cmdNewDaemon, "IPVS_CMD_DEL_DAEMON": cmdDelDaemon, "IPVS_CMD_GET_DAEMON": cmdGetDaemon,
	"IPVS_CMD_SET_CONFIG": cmdSetConfig, "IPVS_CMD_GET_CONFIG": cmdGetConfig, "IPVS_CMD_GET_INFO": cmdGetInfo, "IPVS_CMD_ZERO": cmdZero,

	"IPVS_CMD_ATTR_SERVICE": attrService, "IPVS_CMD_ATTR_DEST": attrDest, "IPVS_CMD_ATTR_DAEMON": attrDaemon,
	"IPVS_CMD_ATTR_TIMEOUT_TCP": attrTimeoutTCP, "IPVS_CMD_ATTR_TIMEOUT_TCP_FIN": attrTimeoutTCPFin, "IPVS_CMD_ATTR_TIMEOUT_UDP": attrTimeoutUDP,

	"IPVS_SVC_ATTR_AF": svcFamily, "IPVS_SVC_ATTR_PROTOCOL": svcProtocol, "IPVS_SVC_ATTR_ADDR": svcAddress, "IPVS_SVC_ATTR_PORT": svcPort,
	"IPVS_SVC_ATTR_FWMARK": svcMark, "IPVS_SVC_ATTR_SCHED_NAME": svcScheduler, "IPVS_SVC_ATTR_FLAGS": svcFlags, "IPVS_SVC_ATTR_TIMEOUT": svcTimeout,
	"IPVS_SVC_ATTR_NETMASK": svcNetmask, "IPVS_SVC_ATTR_STATS": svcStats, "IPVS_SVC_ATTR_PE_NAME": svcEngine, "IPVS_SVC_ATTR_STATS64": svcStats64,

	"IPVS_DEST_ATTR_ADDR": destAddress, "IPVS_DEST_ATTR_PORT": destPort, "IPVS_DEST_ATTR_FWD_METHOD": destForward, "IPVS_DEST_ATTR_WEIGHT": destWeight,
	"IPVS_DEST_ATTR_U_THRESH": destUpperThreshold, "IPVS_DEST_ATTR_L_THRESH": destLowerThreshold, "IPVS_DEST_ATTR_ACTIVE_CONNS": destActive,
	"IPVS_DEST_ATTR_INACT_CONNS": destInactive, "IPVS_DEST_ATTR_STATS": destStats, "IPVS_DEST_ATTR_ADDR_FAMILY": destFamily,
	"IPVS_DEST_ATTR_STATS64": destStats64, "IPVS_DEST_ATTR_TUN_TYPE": destTunnelType, "IPVS_DEST_ATTR_TUN_PORT": destTunnelPort, "IPVS_DEST_ATTR_TUN_FLAGS": destTunnelFlags,

	"IPVS_DAEMON_ATTR_STATE": daemonState, "IPVS_DAEMON_ATTR_MCAST_IFN": daemonInterface, "IPVS_DAEMON_ATTR_SYNC_ID": daemonID, "IPVS_DAEMON_ATTR_SYNC_MAXLEN": daemonMaxLen,
	"IPVS_DAEMON_ATTR_MCAST_GROUP": daemonGroup, "IPVS_DAEMON_ATTR_MCAST_PORT": daemonPort, "IPVS_DAEMON_ATTR_MCAST_TTL": daemonTTL,

	"IPVS_STATS_ATTR_CONNS": statsConnections, "IPVS_STATS_ATTR_INPKTS": statsPacketsIn, "IPVS_STATS_ATTR_OUTPKTS": statsPacketsOut, "IPVS_STATS_ATTR_INBYTES": statsBytesIn,
	"IPVS_STATS_ATTR_OUTBYTES": statsBytesOut, "IPVS_STATS_ATTR_CPS": statsConnectionRate, "IPVS_STATS_ATTR_INPPS": statsPacketRateIn, "IPVS_STATS_ATTR_OUTPPS": statsPacketRateOut,
	"IPVS_STATS_ATTR_INBPS": statsByteRateIn, "IPVS_STATS_ATTR_OUTBPS": statsByteRateOut,

	"IPVS_INFO_ATTR_VERSION": infoVersion, "IPVS_INFO_ATTR_CONN_TAB_SIZE": infoTableSize,
}

// header returns the commands and attributes of include/uapi/linux/ip_vs.h with their numbers, without the first of each list, which
// has no meaning.
func header(t *testing.T) map[string]int {
	t.Helper()
	data, err := os.ReadFile("testdata/attributes.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for line := range strings.Lines(string(data)) {
		var name string
		var number int
		if _, err := fmt.Sscan(line, &name, &number); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !strings.HasSuffix(name, "_UNSPEC") {
			all[name] = number
		}
	}
	return all
}

var parityRow = regexp.MustCompile("(?m)^\\| `(IPVS_[A-Z0-9_]+)` \\| (.+) \\| (.+) \\| (.+) \\|$")

// docs/ipvs-parity.md has a row for each command and attribute, and says which ones are not used: those without a number here.
func TestParityPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/ipvs-parity.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, row := range parityRow.FindAllStringSubmatch(string(page), -1) {
		if _, twice := used[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		used[row[1]] = !strings.HasPrefix(row[4], "not used")
	}
	all := header(t)
	for name, number := range all {
		is, listed := used[name]
		ours, known := numbers[name]
		switch {
		case !listed:
			t.Errorf("docs/ipvs-parity.md has no row for %s of the kernel's header", name)
		case is != known:
			t.Errorf("docs/ipvs-parity.md says that %s is used: %v, and this package has its number: %v", name, is, known)
		case known && ours != number:
			t.Errorf("%s is %d, here %d", name, number, ours)
		}
	}
	for name := range used {
		if all[name] == 0 {
			t.Errorf("docs/ipvs-parity.md has %s, which is not in the kernel's header", name)
		}
	}
}

// The header of this machine has no command or attribute that testdata/attributes.txt lacks.
func TestHeaderOfThisMachine(t *testing.T) {
	const path = "/usr/include/linux/ip_vs.h"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("no header of the kernel on this machine (linux-libc-dev): %v", err)
	}
	all := header(t)
	for _, name := range regexp.MustCompile(`(?m)^\s+(IPVS_[A-Z0-9_]+),`).FindAllStringSubmatch(string(text), -1) {
		if all[name[1]] == 0 {
			t.Errorf("%s has %s: add it with its number to testdata/attributes.txt and to docs/ipvs-parity.md", path, name[1])
		}
	}
}
