"""A host's engine: what it has, what it needs to be given, and in which form."""
