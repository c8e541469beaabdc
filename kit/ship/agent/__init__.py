"""What runs on a host: it proves what comes, keeps it, and has it loaded."""
