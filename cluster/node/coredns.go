package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
)

// runCoreDNS serves cluster DNS with only the plugins that it needs. Their order
// is the order in which a query passes them, as in CoreDNS's own plugin.cfg.
func runCoreDNS() int {
	dnsserver.Directives = []string{
		"health", "ready", "prometheus", "errors", "cache", "loop", "kubernetes", "forward",
	}
	coremain.Run()
	return 0
}
