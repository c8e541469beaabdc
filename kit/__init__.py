"""Carry an LLM fine-tuning and serving stack across an air gap."""

__version__ = "0.1.0"
