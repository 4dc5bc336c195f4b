"""`make bench-replica`: what a day's change costs from commit to readable, against copying; swaps; kills."""
