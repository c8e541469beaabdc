"""The intranet on one machine; README.md beside this tells how it is used and made."""

from __future__ import annotations

from tests.lab.client import DEFAULT_HOSTS, Lab, SinkReader, environment, online_engine, stop_online_engine
from tests.lab.errors import LabError, LabUnavailableError

__all__ = [
    "DEFAULT_HOSTS",
    "Lab",
    "LabError",
    "LabUnavailableError",
    "SinkReader",
    "environment",
    "online_engine",
    "stop_online_engine",
]
