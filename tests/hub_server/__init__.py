"""A model hub on loopback that speaks Hugging Face's and ModelScope's API, and fails when told to."""
