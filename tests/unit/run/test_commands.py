from __future__ import annotations

import pytest

from kit.errors import UnfitError
from kit.run import commands
from tests.unit.host.factories import host_facts


def test_both_composes_are_given_the_same_words() -> None:
    for found in (("docker", "compose"), ("docker-compose",)):
        words = commands.compose(host_facts(compose=found), "kit-train", "/r/run", *commands.UP)
        assert words == (*found, "-p", "kit-train", "-f", "/r/run/compose.yaml", "up", "-d")


def test_a_host_without_compose_is_unfit() -> None:
    with pytest.raises(UnfitError, match="no docker compose"):
        commands.compose(host_facts(compose=()), "p", "/r", "up")


def test_where_the_engine_is_reached_by_sudo_every_command_says_so() -> None:
    facts = host_facts(docker=("sudo", "-n", "docker"))
    for words in (
        commands.inspect_state(facts, "c"),
        commands.stop(facts, "c"),
        commands.remove(facts, "c"),
        commands.container_log(facts, "c", 5)[4:],
    ):
        assert words[:3] == ("sudo", "-n", "docker")


def test_what_varies_reaches_the_shell_as_arguments() -> None:
    words = commands.container_log(host_facts(), "a; rm -rf /", 5, follow=True)
    assert words[:3] == ("sh", "-c", 'exec "$@" 2>&1')
    assert words[-1] == "a; rm -rf /"


def test_all_lines_of_a_log_can_be_had() -> None:
    assert "all" in commands.container_log(host_facts(), "c", None)
    assert commands.saved_log("/r", "gpu1", None) == ("tail", "-n", "+1", "/r/logs/gpu1.log")
