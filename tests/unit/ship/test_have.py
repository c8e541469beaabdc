from __future__ import annotations

import base64

import pytest

from kit.errors import TransferError, UnreachableError
from kit.host.answers import LINES_LIMIT, marked_lines
from kit.ship.engine.identity import SeenImage
from kit.ship.have import INDEXES, INDEXES_LIMIT, LISTS, Have, ask_have, ask_host, have_script, parse_have
from tests.unit.host.factories import host_spec
from tests.unit.host.test_gather import ANSWER, SayingHost

A, B = "a" * 64, "b" * 64


def have_in(text: str) -> Have:
    return parse_have(marked_lines("gpu1", text.encode()))


def test_blobs_partial_blobs_images_and_indexes_are_listed() -> None:
    text = f"""motd
kit:blob 12 8 512 ./{A}
kit:partial 50000 8 512 ./{B}
kit:stored sha256:1 ["kit.invalid/train:1","other:2"] ["sha256:l1","sha256:l2"]
kit:stored sha256:2 [] null
kit:frames {A} {base64.b64encode(b"index").decode()}
kit:end 1
"""
    assert have_in(text) == Have(
        {"sha256:" + A: 12},
        {"sha256:" + B: 4096},
        (
            SeenImage("sha256:1", ("kit.invalid/train:1", "other:2"), ("sha256:l1", "sha256:l2")),
            SeenImage("sha256:2", (), ()),
        ),
        {"sha256:" + A: b"index"},
    )


EARLY = ((500, A), (700, f"early.0123abcd.{A}"), (600, f"early.ffffffff.{A}"), (30, f"early.0123abcd.{B}"))


@pytest.mark.parametrize(
    "line",
    [
        "kit:blob 12 8 512 ./kit-image.tar",
        f"kit:blob -1 8 512 ./{A}",
        f"kit:blob {'9' * 19} 8 512 ./{A}",
        f"kit:blob 12 8 512 ./../{A}",
        f"kit:blob 12 8 512 ./{A.upper()}",
        f"kit:blob 12 8 512 ./{A}\r",
        f"kit:blob 12 8 512 ./early.0123abcd.{A}",
        f"kit:partial 12 8 512 ./early.0123abcd/../{A}",
        f"kit:partial 12 8 512 ./early.0123abcg.{A}",
        "kit:stored sha256:1 {broken [",
        "kit:stored sha256:1",
        'kit:stored sha256:1 {"a":1} []',
        "kit:stored sha256:1 [1] []",
        f"kit:stored sha256:1 {'[' * 5000} []",
        f'kit:stored sha256:1 ["{"x" * 600}"] []',
        f"kit:stored {'1' * 600} [] []",
        f"kit:frames ../{A} aaaa",
        f"kit:frames {A} $(reboot)",
        "kit:" + "x" * 100_000,
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert have_in(line + "\nkit:end 1") == Have()


def test_a_partial_blob_counts_by_what_is_on_the_disk_and_never_more_than_its_size() -> None:
    assert have_in(f"kit:partial 5 8 512 ./{A}").partial == {"sha256:" + A: 5}
    assert have_in(f"kit:partial 5000000 {'9' * 18} {'9' * 9} ./{A}").partial == {"sha256:" + A: 5_000_000}


def test_a_host_with_a_policy_of_its_own_says_so() -> None:
    assert have_in("kit:policy 1").judges
    assert not have_in("kit:policy 10").judges


def test_what_came_ahead_of_an_agent_counts_as_well_and_the_most_of_one_blob_counts() -> None:
    lines = [f"kit:partial {size} 8000 512 ./{name}" for size, name in EARLY]
    for order in (lines, lines[::-1]):
        assert have_in("\n".join(order)).partial == {"sha256:" + A: 700, "sha256:" + B: 30}


def test_indexes_beyond_what_was_asked_for_are_not_kept() -> None:
    big = base64.b64encode(bytes(INDEXES_LIMIT)).decode()
    found = have_in(f"kit:frames {A} {big}\nkit:frames {B} {big}\n")
    assert list(found.indexes) == ["sha256:" + A]


def test_an_endless_list_is_refused() -> None:
    answer = b"kit:\n" * (LINES_LIMIT + 1)
    with pytest.raises(TransferError, match="lines"):
        parse_have(marked_lines("gpu1", answer))


def test_an_answer_that_breaks_off_is_not_taken_for_an_empty_host() -> None:
    with pytest.raises(UnreachableError, match="to the end"):
        ask_have(SayingHost(f"kit:blob 12 8 512 ./{A}\n"), "/aisys/kit")


def test_facts_and_lists_come_in_one_question() -> None:
    host = SayingHost(f"kit:blob 12 8 512 ./{A}\n" + ANSWER)
    facts, have = ask_host(host, host_spec(root="/data/kit"))
    assert [argv for argv, _ in host.asked] == [("sh", "-s", "/data/kit")]
    assert (facts.hostname, have.blobs) == ("node1", {"sha256:" + A: 12})


def test_a_host_that_is_shipped_to_is_not_asked_what_only_jobs_need() -> None:
    host = SayingHost(ANSWER)
    ask_host(host, host_spec())
    ask_host(host, host_spec(), for_jobs=True)
    brief, full = (script.decode() for _, script in host.asked)
    assert "nvidia-smi" not in brief
    assert "compose" not in brief
    assert "nvidia-smi" in full


def test_indexes_are_asked_for_only_when_something_is_wanted() -> None:
    assert have_script() == LISTS
    assert INDEXES not in have_script()
