"""Coverage-guided fuzzing of everything that reads what came from elsewhere: `make fuzz`."""
