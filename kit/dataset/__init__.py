"""Training data in LLaMA-Factory's forms: looked at, measured, turned, cut and registered."""
