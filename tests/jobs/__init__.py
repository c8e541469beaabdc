"""Every kind of job with its options: run in the lab, rendered for GPUs, or refused; `make test-jobs`.

A row is one line of docs/measurements/jobs.md and one function that proves it. To add some,
write a module with `ROWS`, as `trainings.py` is, and name it in `table.py`.
"""
