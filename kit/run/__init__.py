"""Launching jobs on hosts, watching them, and bringing home what they made."""
