"""What the user writes (kit.yaml) and what kit resolves from it (kit.lock)."""
