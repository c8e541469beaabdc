from __future__ import annotations

from kit.images.docker_engine import DockerCommand


class Listing(DockerCommand):
    """A docker that lists these images, the newest first, as it does."""

    def __init__(self, *ids: str) -> None:
        self._ids = ids

    def _run(self, *argv: str) -> str:
        assert argv[:2] == ("image", "ls")
        return "".join(f"{image}\n" for image in self._ids)


def test_an_image_built_from_ours_bears_its_labels_and_is_not_taken_for_it() -> None:
    assert Listing("sha256:child", "sha256:ours").find_image("kit.inputs", "sha256:1") == "sha256:ours"


def test_no_image_is_none() -> None:
    assert Listing().find_image("kit.inputs", "sha256:1") is None
