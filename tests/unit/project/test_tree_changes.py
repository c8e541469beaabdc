from __future__ import annotations

from dataclasses import replace

import pytest

from kit.project.lock import PinnedFile, TreePin
from kit.project.tree_changes import tree_changes

FILES = tuple(PinnedFile(path, 1, f"sha256:{path}") for path in "abc")
PIN = TreePin("model", "tiny", "huggingface:O/T", "1" * 40, FILES, (), "main")
OTHER = PinnedFile("a", 1, "sha256:x")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(PIN, revision="2" * 40), "main moved from 111111111111 to 222222222222"),
        (replace(PIN, source="modelscope:O/T"), "huggingface:O/T -> modelscope:O/T"),
        (replace(PIN, asked="v2"), "revision main -> v2"),
        (replace(PIN, files=(OTHER, *FILES[1:])), "a changed"),
        (replace(PIN, files=FILES[:1]), "2 files gone"),
        (replace(PIN, files=(*FILES, PinnedFile("d", 1, "x")), revision="2" * 40), "d new"),
        (replace(PIN, pending=("x",)), "changed"),
    ],
)
def test_a_change_is_said_in_words(after: TreePin, said: str) -> None:
    assert said in tree_changes(PIN, after)
