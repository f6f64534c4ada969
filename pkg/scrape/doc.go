// Package scrape publishes metrics by HTTP, with TLS and passwords if a web configuration file asks for them.
//
// It makes no metrics: package metrics does. It serves a few scrapers, not the public: connections, the size and the duration of
// requests, and the number of scrapes and of compared passwords at a time are limited, so that nobody who reaches the port takes the
// CPU or the descriptors of the elections.
//
// The web configuration file is that of Prometheus' exporters (github.com/prometheus/exporter-toolkit). Of its keys the package reads
// those for certificates, TLS versions and basic authentication, and refuses the others; HTTP/2 is not offered. The toolkit itself
// would link its flags, OAuth clients and vsock.
package scrape
