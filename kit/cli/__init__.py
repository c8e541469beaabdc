"""The command line: parse, one call, render. The only place that prints."""
