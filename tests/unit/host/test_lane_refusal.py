from __future__ import annotations

from itertools import pairwise

import pytest

from kit.host.lane_refusal import Refusal, pauses, refusal_of


@pytest.mark.parametrize(
    "said",
    [
        "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1",
        "kex_exchange_identification: read: Connection reset by peer",
        "ssh_exchange_identification: Connection closed by remote host",
        "kex_exchange_identification: banner line 0: Exceeded MaxStartups",
        "ssh: connect to host 10.0.0.1 port 22: Connection refused",
        "Error reading SSH protocol banner",
    ],
)
def test_a_host_with_too_many_logins_is_asked_again(said: str) -> None:
    assert refusal_of(said) is Refusal.BUSY


@pytest.mark.parametrize(
    "said",
    [
        "ops@10.0.0.1: Permission denied (publickey,password).",
        "Host key verification failed.",
        "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.",
        "command-line: line 0: Bad configuration option: knownhostscommand",
        "gate: Permission denied (publickey).\r\nConnection closed by UNKNOWN port 65535",
        "",
    ],
)
def test_a_login_that_ssh_cannot_do_is_left_to_paramiko(said: str) -> None:
    assert refusal_of(said) is Refusal.LOGIN


def test_pauses_grow_and_stay_below_a_quarter_of_a_minute() -> None:
    for share in (0.0, 0.99):
        waits = pauses(share)
        assert all(after == 2 * before for before, after in pairwise(waits))
        assert sum(waits) < 16
    assert pauses(0.0) != pauses(0.5)
