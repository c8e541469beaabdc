from __future__ import annotations

import pytest

from kit.project.requirement import distribution_name, exact_version, extras_of


@pytest.mark.parametrize(
    ("requirement", "name", "extras", "version"),
    [
        ("torch==2.6.0+cu126", "torch", "", "2.6.0+cu126"),
        ("sglang[srt]==0.4.6.post1", "sglang", "[srt]", "0.4.6.post1"),
        ("Flash_Attn == 2.7", "flash-attn", "", "2.7"),
        ("numpy<2", "numpy", "", None),
        ("numpy==2.*", "numpy", "", None),
        ("numpy==2.0,!=2.0.1", "numpy", "", None),
        ("rich", "rich", "", None),
        ("# a comment", "", "", None),
    ],
)
def test_name_extras_and_release_are_read(
    requirement: str, name: str, extras: str, version: str | None
) -> None:
    found = (distribution_name(requirement), extras_of(requirement), exact_version(requirement))
    assert found == (name, extras, version)
