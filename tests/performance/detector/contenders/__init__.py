"""What is measured: programs that take `--job FILE` (see `job.Job`) and print one line of JSON.

Those that show how others do it run in an environment of their own (`requirements.txt`), so they and
`job` import nothing of the product.
"""
