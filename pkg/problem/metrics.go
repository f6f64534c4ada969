package problem

// MetricsNotPublished is the code of metrics.
const MetricsNotPublished Code = "metrics_not_published"

func metricsNotPublished() Declaration {
	return Declaration{
		Code: MetricsNotPublished, Severity: Warning, Role: Both, Subject: "node",
		Means:  "the cluster file asks for metrics, and they cannot be scraped: the port cannot be opened, or the web configuration is broken; alerts that are made from them do not fire",
		Remedy: "do what lvsctl status shows in brackets: end the other program that has the port (ss -ltnp), or choose another port, one from 1024 on, or an address of this machine in metrics; correct the file of web_config. The daemon tries again every 2 s, without a restart",
	}
}
