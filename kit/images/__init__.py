"""Pins and builds of container images."""
