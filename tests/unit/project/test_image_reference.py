from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.project.image_reference import is_loopback, mirrored, parse_reference
from kit.project.load import parse_project
from kit.ship.wanted import wanted_by_host
from tests.factories import project_document

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("python:3.11", "docker.io", "library/python", "3.11", None),
        ("nvidia/cuda:12.6.3", "docker.io", "nvidia/cuda", "12.6.3", None),
        ("docker.io/python:3", "docker.io", "library/python", "3", None),
        ("ghcr.io/conardli/easy-dataset:1.7.3", "ghcr.io", "conardli/easy-dataset", "1.7.3", None),
        ("localhost/a", "localhost", "a", None, None),
        ("registry:5000/a/b", "registry:5000", "a/b", None, None),
        (f"registry:5000/a/b:1@{SHA}", "registry:5000", "a/b", "1", SHA),
        (f"[::1]:5000/a@{SHA}", "[::1]:5000", "a", None, SHA),
    ],
)
def test_a_name_is_taken_apart_as_docker_does(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPPER/a:1",
        "https://registry.example/a:1",
        "registry.example/a:1@sha256:abc",
        "registry.example/../a:1",
        "registry.example/a b:1",
        "registry.example/a:1?x=1",
        "user@registry.example/a:1",
        "registry.example//a",
        "a:" + "x" * 129,
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no image's name"):
        parse_reference(text, "images[0].image")


@pytest.mark.parametrize(
    ("reference", "registry", "expected"),
    [
        ("python:3.11", "mirror.lan", "mirror.lan/library/python:3.11"),
        ("nvidia/cuda:12", "mirror.lan/proxy", "mirror.lan/proxy/nvidia/cuda:12"),
        ("ghcr.io/conardli/easy-dataset:1", "mirror.lan", "mirror.lan/conardli/easy-dataset:1"),
        (f"registry:5000/a/b@{SHA}", "mirror.lan", f"mirror.lan/a/b@{SHA}"),
        ("python:3.11", {"docker.io": "hub.lan"}, "hub.lan/library/python:3.11"),
        ("registry.example/a:1", {"docker.io": "hub.lan"}, "registry.example/a:1"),
        ("python:3.11", None, "python:3.11"),
    ],
)
def test_a_mirror_keeps_an_image_under_its_path(
    reference: str, registry: str | Mapping[str, str] | None, expected: str
) -> None:
    assert mirrored(reference, registry) == expected


def test_only_this_machine_itself_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8:5000", "localhost:1", "[::1]:5000")))
    assert not any(
        map(is_loopback, ("10.0.0.1", "localhost.example:5000", "registry:5000", "127.0.0.1.example"))
    )


def project(*images: Any, **overrides: Any) -> Any:
    return parse_project(project_document(images=["train", "serve", *images], **overrides))


TOOL = {"name": "my-tool", "image": "registry.example/team/tool:1.2"}


def test_an_image_of_the_users_choice_goes_to_every_host_or_to_the_named_ones() -> None:
    everywhere = wanted_by_host(project(TOOL))
    assert all("my-tool" in wanted.images for wanted in everywhere.values())
    one = wanted_by_host(project(TOOL | {"hosts": ["gpu2"]}))
    assert [host for host, wanted in one.items() if "my-tool" in wanted.images] == ["gpu2"]


@pytest.mark.parametrize(
    ("image", "key"),
    [
        (TOOL | {"image": "registry.example/team/tool"}, "images[2].image: a tag or digest is needed"),
        (TOOL | {"image": "https://registry.example/tool:1"}, "images[2].image"),
        (TOOL | {"name": "kit"}, "images[2]: the name 'kit' is taken"),
        (TOOL | {"name": "data"}, "images[2]: the name 'data' is taken"),
        (TOOL | {"hosts": ["gpu3"]}, "images[2].hosts[0]: no host named 'gpu3'"),
        (TOOL | {"tag": "1"}, "images[2].tag: unknown key"),
        ("trian", "images[2]"),
        ("train", "images[2]: the name 'train' is taken"),
    ],
)
def test_a_wrong_image_is_named_with_its_key(image: Any, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project(image)
    assert key in str(caught.value)


@pytest.mark.parametrize("mirror", ["https://registry.example", {"docker.io": "a b"}, 7])
def test_a_wrong_mirror_is_named(mirror: Any) -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.registry"):
        project(mirrors={"registry": mirror})
