"""Run `python3 -m tests.lab`."""

from __future__ import annotations

import sys

from tests.lab.cli import main

if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
