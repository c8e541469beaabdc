from __future__ import annotations

from kit.host.local_machine import local_words


def test_here_a_command_runs_through_sh() -> None:
    assert local_words(("docker", "ps"), None, "/work") == ("sh", "-c", 'exec "$@"', "sh", "docker", "ps")


def test_in_kits_container_a_command_runs_in_the_hosts_own_root_and_folder() -> None:
    words = local_words(("docker", "ps"), "/host", "/home/ops/here")
    assert words[:2] == ("host-chroot", "/host")
    assert words[-3:] == ("/home/ops/here", "docker", "ps")
    assert "/opt/kit" not in " ".join(words)
