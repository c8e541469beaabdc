from __future__ import annotations

import pytest

from kit.errors import ConfigError
from kit.images.packages import PackageLock, Pin, complete, parse_packages, partition
from kit.images.stacks import LayerGroup

A, B = "a" * 64, "b" * 64
TEXT = f"""# a comment
# pending: torch==2.6.0+cu126  (needs an index out of reach)
numpy==1.26.4 \\
    --hash=sha256:{B} \\
    --hash=sha256:{A}
accelerate==1.7.0 \\
    --hash=sha256:{A}
"""


def test_pins_are_sorted_and_so_are_their_hashes() -> None:
    lock = parse_packages(TEXT, "x.lock")
    assert lock.pins == (Pin("accelerate", "1.7.0", (A,)), Pin("numpy", "1.26.4", (A, B)))
    assert lock.pending == ("torch==2.6.0+cu126",)


def test_text_parses_to_the_same_lock() -> None:
    lock = parse_packages(TEXT, "x.lock")
    assert parse_packages(lock.text, "again") == lock


def test_comments_and_layout_do_not_change_the_digest() -> None:
    tidy = parse_packages(TEXT, "x").text
    assert parse_packages(TEXT, "x").digest == parse_packages("# other words\n\n" + tidy, "x").digest


def test_a_changed_hash_changes_the_digest() -> None:
    assert parse_packages(TEXT.replace(A, "c" * 64), "x").digest != parse_packages(TEXT, "x").digest


@pytest.mark.parametrize("line", ["numpy>=1.26", "numpy==1.26.4", "--index-url somewhere", "./numpy.whl"])
def test_a_line_without_version_and_hash_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="not a pinned package with hashes") as caught:
        parse_packages(line, "images/train/cpu.lock")
    assert caught.value.where == "images/train/cpu.lock"


def test_completing_takes_the_pending_package_alone() -> None:
    lock = parse_packages(TEXT, "x")
    found = PackageLock((Pin("numpy", "2.0.0", (B,)), Pin("torch", "2.6.0+cu126", (B,))))
    done = complete(lock, found)
    assert done.pending == ()
    assert [f"{pin.name}=={pin.version}" for pin in done.pins] == [
        "accelerate==1.7.0",
        "numpy==1.26.4",
        "torch==2.6.0+cu126",
    ]


def test_completing_with_another_version_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no index has torch==2\.6\.0\+cu126"):
        complete(parse_packages(TEXT, "x"), PackageLock((Pin("torch", "2.6.0", (B,)),)))


def test_the_group_of_everything_takes_what_no_other_does_wherever_it_stands() -> None:
    pins = tuple(Pin(name, "1", (A,)) for name in ("nvidia-cudnn-cu12", "nvidia-nvtx-cu12", "rich", "torch"))
    groups = (
        LayerGroup("cudnn", ("nvidia-cudnn-*",)),
        LayerGroup("rest", ("*",)),
        LayerGroup("cuda", ("nvidia-*",)),
        LayerGroup("torch", ("torch",)),
    )
    found = {name: [pin.name for pin in members] for name, members in partition(PackageLock(pins), groups)}
    assert found == {
        "cudnn": ["nvidia-cudnn-cu12"],
        "rest": ["rich"],
        "cuda": ["nvidia-nvtx-cu12"],
        "torch": ["torch"],
    }


def test_a_package_without_a_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="no layer takes the package rich"):
        partition(PackageLock((Pin("rich", "1", (A,)),)), (LayerGroup("torch", ("torch",)),))
