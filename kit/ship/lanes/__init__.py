"""Several connections at once that carry records to one host."""
