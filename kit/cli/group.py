"""kit's command group: every failure of every command ends in one place."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from kit.cli import failure
from kit.errors import KitError

# The parser's own errors: typer's bundled copy of click in newer releases, click itself in older ones.
_ANCESTORS = typer.BadParameter.__mro__
PARSE_ERROR: type[Exception] = next(kind for kind in _ANCESTORS if kind.__name__ == "ClickException")


class KitGroup(TyperGroup):
    """Runs a command and turns whatever it raises into a message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the journey, not of the alphabet."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. What the parser would swallow is caught before it: Ctrl-C, a closed pipe."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(failure.report_interrupt(interrupt, as_json=bool(ctx.obj))) from None
        except BrokenPipeError:
            # The reader of our output has gone (`kit logs | head`); Python would complain once more on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command line and end the process with its exit code."""
        argv = list(sys.argv[1:] if args is None else args)
        # Completion scripts and error messages call the program by this name, however it was started.
        sys.exit(self._run(argv, prog_name or "kit", {**extra, "standalone_mode": False}))

    def _run(self, argv: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        as_json = "--json" in argv
        try:
            return super().main(args=argv, prog_name=prog_name, obj=as_json, **extra) or 0
        except KitError as error:
            return failure.report_failure(error, as_json=as_json)
        except PARSE_ERROR as error:
            return failure.report_usage(error, as_json=as_json)
        except typer.Abort:
            return failure.report_interrupt(KeyboardInterrupt(), as_json=as_json)
        except Exception as error:  # noqa: BLE001 - the border: anything else is a bug, and said to be one
            return failure.report_bug(error, as_json=as_json)
