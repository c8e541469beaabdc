"""Every failure kit reports, one exit code per kind.

An error says what happened, where (host, file, key), why, and the command that mends it.
Only `kit.cli` turns one into text; everything else raises.
"""

from __future__ import annotations


class KitError(Exception):
    """A failure that the user can understand and act on."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            text += f" ({self.why})"
        return f"{text}\n  to mend it: {self.fix}" if self.fix else text


class ConfigError(KitError):
    """Wrong usage, or a kit.yaml or kit.lock that cannot be accepted."""

    exit_code = 2


class VerificationError(KitError):
    """Bytes that are not the ones the manifest promises."""

    exit_code = 3


class UnreachableError(KitError):
    """A host that does not answer, or that cannot be trusted."""

    exit_code = 4


class UnfitError(KitError):
    """A host that lacks what the job needs: engine, room, image, GPU."""

    exit_code = 5


class TransferError(KitError):
    """Bytes that did not arrive."""

    exit_code = 6


class EngineError(KitError):
    """Docker or compose refused or failed."""

    exit_code = 7


class JobError(KitError):
    """A job that started and failed."""

    exit_code = 8
