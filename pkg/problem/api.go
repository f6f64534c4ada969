package problem

// APINotOffered is the code of requests of other machines.
const APINotOffered Code = "api_not_offered"

func apiNotOffered() Declaration {
	return Declaration{
		Code: APINotOffered, Severity: Warning, Role: Both, Subject: "node",
		Means:  "the cluster file has a section api, and other machines are not answered: the port cannot be opened, or the web configuration is broken; lvsctl on this machine works",
		Remedy: "do what lvsctl status shows in brackets: end the other program that has the port (ss -ltnp), or choose another port, one from 1024 on, or an address of this machine in api; correct the file of web_config. The daemon tries again every 2 s, without a restart",
	}
}
