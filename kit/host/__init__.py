"""One machine, over SSH or local: run, copy, facts, checks."""
