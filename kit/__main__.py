"""Where `kit` begins, as a command and as `python -m kit`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line that this process was started with.

    Agents answer one call each, and somebody waits for it: they are started without what only people need,
    which takes twice as long to import as all that an agent does.
    """
    if sys.argv[1:2] == ["agent"]:
        from kit.cli import agent

        sys.exit(agent.main(sys.argv[2:]))
    from kit.cli.main import app

    app()


if __name__ == "__main__":
    main()
