package probe

import "github.com/lvs-director/lvs-director/pkg/health"

// judge maps an ERR packet of a MySQL or MariaDB server to a result, with a remedy if it is not obvious from the
// message. The names are those of MySQL's include/mysqld_error.h and MariaDB's sql/share/errmsg-utf8.txt.
//
// A server that sends an ERR packet is alive. Most errors concern the check's own account, connection or query, and
// clients have other accounts, so a number that is not listed is Unknown, never Bad. Only the numbers in this function
// concern the whole server.
func judge(number uint16) (code health.Code, class health.Class, remedy string) {
	switch number {
	case 1040: // ER_CON_COUNT_ERROR: max_connections, sent in place of the greeting or after the login
		return health.ServerFull, health.Full, "raise max_connections or close connections there"
	case 1037, // ER_OUTOFMEMORY: no memory for the session
		1041, // ER_OUT_OF_RESOURCES: no memory for the process, or ulimit reached
		1135, // ER_CANT_CREATE_THREAD: sent in place of the greeting (sql/conn_handler)
		3168: // ER_SERVER_ISNT_AVAILABLE: MySQL, not yet or no longer serving
		return health.Error, health.Bad, "the server cannot serve another client: see its error log"
	case 1053: // ER_SERVER_SHUTDOWN
		return health.Shutdown, health.Bad, ""
	case 1047: // ER_UNKNOWN_COM_ERROR; Galera: "WSREP has not yet prepared node for application use"
		return health.NotReady, health.Bad, ""
	case 3032: // ER_SERVER_OFFLINE_MODE
		return health.Offline, health.Bad, "SET GLOBAL offline_mode=OFF there lets clients in again"
	}
	return judgeAccount(number)
}

// judgeAccount is judge for errors that are no evidence about the server.
func judgeAccount(number uint16) (code health.Code, class health.Class, remedy string) {
	code, class = health.Auth, health.Unknown
	switch number {
	case 1129: // ER_HOST_IS_BLOCKED: max_connect_errors
		return health.Blocked, class, "it blocks this director, not the clients: run FLUSH HOSTS there or TRUNCATE performance_schema.host_cache"
	case 4150: // MariaDB: ER_USER_IS_BLOCKED: max_password_errors
		return code, class, "it blocks the check's account for too many wrong passwords: correct password_file, then run FLUSH PRIVILEGES there"
	case 1203, // ER_TOO_MANY_USER_CONNECTIONS
		1226: // ER_USER_LIMIT_REACHED
		return health.Limited, class, "a limit of the check's account: raise it for that account"
	case 1130: // ER_HOST_NOT_PRIVILEGED
		return code, class, "create the check's account for the address of every director"
	case 1045, // ER_ACCESS_DENIED_ERROR
		1044, // ER_DBACCESS_DENIED_ERROR
		1698: // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
		return code, class, "check user and password_file, and the account on the server"
	case 1251, // ER_NOT_SUPPORTED_AUTH_MODE
		1524, // ER_PLUGIN_IS_NOT_LOADED
		2059: // CR_AUTH_PLUGIN_CANNOT_LOAD, sent by proxies
		return code, class, "give the check's account caching_sha2_password or mysql_native_password"
	case 1820, // ER_MUST_CHANGE_PASSWORD
		1862, // ER_MUST_CHANGE_PASSWORD_LOGIN
		3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
		3955, // MySQL: ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK (FAILED_LOGIN_ATTEMPTS)
		4151: // MariaDB: ER_ACCOUNT_HAS_BEEN_LOCKED
		return code, class, "the check's account is locked or its password expired: unlock it, and set a password that does not expire"
	case 3159: // ER_SECURE_TRANSPORT_REQUIRED
		return code, class, "the check has no TLS: exempt it from require_secure_transport"
	}
	return health.Error, class, "the server is alive and refuses the check: see this error in its documentation, and the check's account there"
}
