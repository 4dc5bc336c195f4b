module stockpipeline.dev/cluster/pause

go 1.24
