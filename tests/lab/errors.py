"""What can go wrong with the lab, and the exit status of each."""

from __future__ import annotations


class LabError(RuntimeError):
    """The lab could not do what it was asked; the message says what happened and what mends it."""

    exit_status = 1


class LabUnavailableError(LabError):
    """This machine cannot run the lab at all (no root, no Linux, no package source): tests skip."""

    exit_status = 77
