module stockpipeline.dev/tests/probe

go 1.24
