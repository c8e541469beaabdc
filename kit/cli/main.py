"""The command `kit`: parse, one call, render. Heavy packages are imported by the command that needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from kit.cli import (
    benching,
    crossing,
    curves,
    dataset,
    importing,
    launching,
    media,
    preparing,
    pruning,
    reading,
    signing,
    watching,
    windows,
)
from kit.cli.group import KitGroup

EXIT_CODES = """Exit codes: 0 done, 1 a bug in kit, 2 wrong usage or configuration, 3 verification
failed, 4 a host cannot be reached or trusted, 5 a host is not fit, 6 transfer failed, 7 engine
failed, 8 job failed, 130 interrupted."""

COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (preparing.init, "kit init --stack cu126"),
    (importing.import_, "kit import train.yaml > kit.yaml; kit import -- vllm serve Qwen/Qwen3-8B -tp 2"),
    (preparing.lock, "kit lock"),
    (preparing.bundle, "kit bundle -o crossing.tar --volume-size 4G --parity 1"),
    (signing.sign, "kit sign -b crossing.tar --key ~/.ssh/id_ed25519"),
    (reading.inspect, "kit inspect -b crossing.tar"),
    (reading.verify, "kit verify -b crossing.tar"),
    (reading.diff, "kit diff crossing-1.tar crossing-2.tar"),
    (reading.recover, "kit recover -b crossing.tar.volumes.json"),
    (media.starter, "kit starter -b crossing.tar"),
    (crossing.ship, "kit ship -b crossing.tar --host gpu1"),
    (media.load, "kit load /media/disk/crossing.tar"),
    (crossing.check, "kit check"),
    (launching.plan, "kit plan train --offline"),
    (launching.up, "kit up train"),
    (watching.status, "kit status"),
    (watching.logs, "kit logs train --tail 50"),
    (curves.curve, "kit curve train --last 3 --plot loss.svg"),
    (watching.collect, "kit collect merge -o result"),
    (watching.ask, 'kit ask serve "What does kit carry?"'),
    (windows.open_, "kit open board"),
    (benching.bench, "kit bench serve -c 1,4,16 --plot bench.svg"),
    (launching.down, "kit down serve"),
    (pruning.prune, "kit prune --dry-run"),
)
"""Every command in the order of the journey, with an example."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from kit import __version__

        typer.echo(f"kit {__version__}")
        raise typer.Exit


def start(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Carry an LLM fine-tuning and serving stack across an air gap.

    Online: lock, bundle. Across: ship. On the intranet: check, up, ask.
    """
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def make_app() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="kit",
        cls=KitGroup,
        # Plain help is drawn in a quarter of the time of a framed one.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True, epilog=EXIT_CODES)(start)
    for command, example in COMMANDS:
        app.command(epilog=f"Example: {example}")(command)
    app.add_typer(dataset.make_app(), name="dataset")
    return app


app = make_app()
