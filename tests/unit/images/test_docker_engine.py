from __future__ import annotations

import json

from kit.images.docker_engine import platform_digest


def _entry(digest: str, architecture: str, system: str = "linux") -> dict[str, object]:
    return {"Descriptor": {"digest": digest, "platform": {"os": system, "architecture": architecture}}}


def test_digest_of_the_platform_is_taken_from_a_list() -> None:
    listed = [
        _entry("sha256:arm", "arm64"),
        _entry("sha256:win", "amd64", "windows"),
        _entry("sha256:x", "amd64"),
    ]
    assert platform_digest(json.dumps(listed)) == "sha256:x"


def test_a_single_manifest_counts_whether_it_names_its_platform_or_not() -> None:
    assert platform_digest(json.dumps(_entry("sha256:x", "amd64"))) == "sha256:x"
    assert platform_digest(json.dumps({"Descriptor": {"digest": "sha256:y"}})) == "sha256:y"


def test_an_image_for_other_platforms_has_no_digest() -> None:
    assert platform_digest(json.dumps([_entry("sha256:arm", "arm64")])) is None
