package probe

import "github.com/lvs-director/lvs-director/pkg/health"

// judge says what an ERR packet of a MySQL or MariaDB server is evidence of, and what to do about it if that is not
// plain from the message. The numbers are those of include/mysqld_error.h and MariaDB's sql/share/errmsg-utf8.txt.
//
// A server that knows the account and refuses it is alive: clients have other accounts. An error that is not listed is
// a server that cannot even do SELECT 1.
func judge(number uint16) (code health.Code, class health.Class, remedy string) {
	switch number {
	case 1040: // ER_CON_COUNT_ERROR
		return health.ServerFull, health.Full, "raise max_connections or close connections there"
	case 1203, // ER_TOO_MANY_USER_CONNECTIONS
		1226: // ER_USER_LIMIT_REACHED
		// The limit of one account: other clients have theirs.
		return health.Auth, health.Unknown, "a limit of the check's account: lift it for that account"
	case 1129: // ER_HOST_IS_BLOCKED
		return health.Blocked, health.Unknown, "it blocks this director, not the clients: run FLUSH HOSTS there or TRUNCATE performance_schema.host_cache"
	case 1130: // ER_HOST_NOT_PRIVILEGED
		return health.Auth, health.Unknown, "create the check's account for the address of every director"
	case 1045, // ER_ACCESS_DENIED_ERROR
		1044, // ER_DBACCESS_DENIED_ERROR
		1698: // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
		return health.Auth, health.Unknown, "check user and password_file, and the account on the server"
	case 1251, // ER_NOT_SUPPORTED_AUTH_MODE
		1524, // ER_PLUGIN_IS_NOT_LOADED
		2059: // CR_AUTH_PLUGIN_CANNOT_LOAD, sent by proxies
		return health.Auth, health.Unknown, "give the check's account caching_sha2_password or mysql_native_password"
	case 1820, // ER_MUST_CHANGE_PASSWORD
		1862, // ER_MUST_CHANGE_PASSWORD_LOGIN
		3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
		4151: // MariaDB: ER_ACCOUNT_HAS_BEEN_LOCKED
		return health.Auth, health.Unknown, "the check's account is locked or its password expired: set it anew without expiry"
	case 3159: // ER_SECURE_TRANSPORT_REQUIRED
		return health.Auth, health.Unknown, "the check speaks no TLS: exempt it from require_secure_transport"
	case 1053: // ER_SERVER_SHUTDOWN
		return health.Shutdown, health.Bad, ""
	case 1047: // ER_UNKNOWN_COM_ERROR; Galera: "WSREP has not yet prepared node for application use"
		return health.NotReady, health.Bad, ""
	case 3032: // ER_SERVER_OFFLINE_MODE
		return health.Offline, health.Bad, "SET GLOBAL offline_mode=OFF there lets clients in again"
	default:
		return health.Error, health.Bad, ""
	}
}
