from __future__ import annotations

import pytest

from kit.ship.chain.addresses import addresses_of
from tests.unit.host.factories import host_facts, host_spec


@pytest.mark.parametrize(
    ("address", "interfaces", "found"),
    [
        ("10.0.0.11", (("eth0", "10.0.0.11"),), ("10.0.0.11",)),
        (
            "10.0.0.11",
            (("eth0", "192.168.1.5"), ("ib0", "10.9.0.1")),
            ("10.0.0.11", "192.168.1.5", "10.9.0.1"),
        ),
        ("gpu1.example", (("eth0", "10.0.0.11"),), ("10.0.0.11",)),
        ("local", (("eth0", "10.0.0.11"),), ("10.0.0.11",)),
        (
            "gpu1",
            (("docker0", "172.17.0.1"), ("br-1f2e", "172.18.0.1"), ("bond0", "10.1.1.1")),
            ("10.1.1.1",),
        ),
        ("fd00::11", (), ("fd00::11",)),
        ("127.0.0.1", (("eth0", "10.0.0.11"), ("odd", "$(reboot)")), ("10.0.0.11",)),
        ("gpu1", (), ()),
    ],
)
def test_where_a_host_may_be_reached(
    address: str, interfaces: tuple[tuple[str, str], ...], found: tuple[str, ...]
) -> None:
    facts = host_facts(interfaces=interfaces)
    assert addresses_of(host_spec(address=address), facts) == found
