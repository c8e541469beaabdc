"""Which packages a job's image holds: those of the stack's lock, or what `packages` asks for instead."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from kit.data_files import data_folder
from kit.project.references import image_of
from kit.project.requirement import distribution_name, exact_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.model import Project

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def held_packages(project: Project, job: str) -> dict[str, str]:
    """Return name → version of the packages in a job's image; none for an image that is pulled."""
    image = image_of(project, job)
    asked = {str(name): requirements for name, requirements in project.packages.items()}.get(image, ())
    found = {distribution_name(text): exact_version(text) or "" for text in asked}
    return {**_locked(image, project.stack), **found}


@cache
def _locked(image: str, stack: str) -> Mapping[str, str]:
    lock = data_folder("images") / image / f"{stack}.lock"
    if not lock.is_file():
        return {}
    return {distribution_name(name): version for name, version in _PIN.findall(lock.read_text("utf-8"))}
