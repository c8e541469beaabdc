"""Signing a bundle: kit sign, and the key of kit bundle --sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.opening import bundle_path
from kit.cli.options import DEFAULT_FILE, Bundle, DryRun, File, Json
from kit.cli.output import show, shown_progress

if TYPE_CHECKING:
    from kit.cli.progress_bars import BarProgress
    from kit.cli.progress_lines import LineProgress
    from kit.workflow.sign_bundle import Signed

SignKey = Annotated[
    Path | None,
    typer.Option(
        "--sign",
        metavar="KEY",
        help="Sign with this SSH key: a private one, or the .pub of one in ssh-agent.",
    ),
]


def signer_for(key: Path, progress: BarProgress | LineProgress) -> Callable[[bytes], bytes]:
    """Return a function that signs; the terminal is ssh-keygen's while it asks. Raises ConfigError."""
    from kit.signature.ssh_keygen import ssh_keygen_signer

    signer = ssh_keygen_signer(key)

    def sign_alone(message: bytes) -> bytes:
        with progress.paused():
            return signer(message)

    return sign_alone


def sign(
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="An SSH key: a private one, or the .pub of one in ssh-agent."),
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", help="A signature of kit.json that ssh-keygen made elsewhere."),
    ] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Sign a bundle that is there already, as ssh-keygen -Y sign does."""
    from kit.workflow.sign_bundle import plan_sign, ready_signature, sign_bundle_here

    path = bundle_path(file, bundle)
    with shown_progress() as progress:
        if key and not signature:
            signer = signer_for(key, progress)
        elif signature and not key:
            signer = ready_signature(signature)
        else:
            raise typer.BadParameter("one of --key and --signature is needed")
        if dry_run:
            show(plan_sign(path), _planned, as_json=as_json)
            return
        result = sign_bundle_here(path, signer)
    show(result, _signed, as_json=as_json)


def _planned(plan: Signed) -> Iterator[str]:
    yield f"would sign {plan.name}, locked {plan.locked}, {plan.digest}: {plan.path}"


def _signed(signed: Signed) -> Iterator[str]:
    yield f"{signed.name}, locked {signed.locked}, {signed.digest}: {signed.path}"
    yield signed.signature.text
