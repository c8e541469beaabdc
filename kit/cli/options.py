"""The options that several commands share, and tab completion for names in kit.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("kit.yaml")


def _names(section: str, incomplete: str) -> list[str]:
    # Completion must never print an error into the user's half-typed line.
    try:
        import yaml

        found = yaml.safe_load(DEFAULT_FILE.read_text(encoding="utf-8"))[section]
        return [name for name in found if str(name).startswith(incomplete)]
    except Exception:  # noqa: BLE001 - see above
        return []


def complete_job(incomplete: str) -> list[str]:
    """Return the jobs of ./kit.yaml that begin so."""
    return _names("jobs", incomplete)


def complete_host(incomplete: str) -> list[str]:
    """Return the hosts of ./kit.yaml that begin so."""
    return _names("hosts", incomplete)


File = Annotated[Path, typer.Option("--file", "-f", help="The kit.yaml to act on.", show_default=True)]
Bundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        "-b",
        help="A folder, a tarball, or volumes.  [default: bundle, beside kit.yaml]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
JobName = Annotated[
    str, typer.Argument(metavar="JOB", help="A job of kit.yaml.", autocompletion=complete_job)
]
HostNames = Annotated[
    list[str] | None,
    typer.Option("--host", help="Only this host; may be given again.", autocompletion=complete_host),
]
