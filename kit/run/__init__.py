"""Launching jobs on hosts, watching them, bringing home what they made."""
