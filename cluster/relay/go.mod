module stockpipeline.dev/cluster/relay

go 1.24
