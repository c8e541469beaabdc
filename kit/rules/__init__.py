"""Which packages, flags, drivers and cards go together: rules as data, held against facts."""
