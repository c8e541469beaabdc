from __future__ import annotations

from kit.jobs.network import Route, find_route, parse_route, route_argv
from kit.project.model import HostSpec
from tests.unit.jobs.launch_factories import host_facts


def test_a_route_is_read_from_what_ip_says() -> None:
    text = "10.0.0.11 dev eth1 src 10.0.0.12 uid 1000 \\    cache \n"
    assert parse_route(text) == Route("eth1", "10.0.0.12")
    text = "10.2.0.1 via 10.0.0.1 dev bond0.7 table 12 src 10.0.0.12 uid 0 \\    cache"
    assert parse_route(text) == Route("bond0.7", "10.0.0.12")


def test_no_route_and_a_loop_are_no_routes() -> None:
    assert parse_route("RTNETLINK answers: Network is unreachable") is None
    assert parse_route("local 10.0.0.11 dev lo src 10.0.0.11 uid 0 \\    cache <local>") is None


def test_the_question_names_the_master() -> None:
    assert route_argv("10.0.0.11")[-1] == "10.0.0.11"


def test_the_only_real_interface_is_taken_when_the_address_is_a_name() -> None:
    facts = host_facts(
        "a", "", interfaces=(("docker0", "172.17.0.1"), ("br-1a2b", "172.18.0.1"), ("ens3", "10.1.0.5"))
    )
    assert find_route("a", HostSpec(address="node-a"), facts) == Route("ens3", "10.1.0.5")


def test_nic_comes_before_everything() -> None:
    facts = host_facts("a", "10.0.0.11")
    spec = HostSpec(address="10.0.0.11", nic="eth9")
    assert find_route("a", spec, facts, Route("eth1", "10.0.0.11")) == Route("eth9", "192.168.9.9")
