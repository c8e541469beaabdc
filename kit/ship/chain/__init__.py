"""Hosts that pass on to each other what several of them lack."""
