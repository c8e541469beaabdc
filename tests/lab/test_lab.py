"""The intranet on one machine is what it says: engines of each age, an air gap, slow and cut links."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.host_shell import Answer, host_shell
from tests.lab.shell import wait_until

pytestmark = pytest.mark.lab
KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))
NAMES = tuple(name for name, _ in KINDS)
OUTSIDE = "203.0.113.9"


def _ssh(lab: Lab, host: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = ("ssh", "-F", str(lab.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", *options, host)
    return subprocess.run((*argv, *words), capture_output=True, text=True, check=False)


def _reaches(lab: Lab, name: str) -> bool:
    try:
        socket.create_connection((lab.address(name), 22), timeout=1).close()
    except OSError:
        return False
    return True


def test_each_host_has_the_engine_and_compose_of_its_age(lab: Lab) -> None:
    rows = {row["host"]: row for row in lab.status()}
    assert rows["old"]["engine"].startswith("20.10.")
    assert rows["old"]["compose"] == "1.29.2"
    assert rows["mid"]["engine"].startswith("26.1.")
    assert rows["mid"]["compose"].startswith("2.26.")
    assert int(rows["new"]["engine"].split(".")[0]) >= 28
    assert int(rows["new"]["compose"].lstrip("v").split(".")[0]) >= 2
    assert [rows[name]["store"] for name in NAMES] == ["overlay2", "overlay2", "overlayfs"]


@pytest.mark.parametrize("name", NAMES)
def test_a_host_has_no_way_out(lab: Lab, name: str) -> None:
    assert "default" not in lab.exec(name, ("ip", "route"))
    assert "nameserver" not in lab.exec(name, ("cat", "/etc/resolv.conf"))
    for place in (f"http://{OUTSIDE}/", f"http://{OUTSIDE}:443/", "http://example.com/"):
        started = time.monotonic()
        assert lab.run(name, ("curl", "-s", "--max-time", "5", place)).returncode in {6, 7}
        assert time.monotonic() - started < 3


def test_hosts_reach_each_other_by_name_and_this_machine_reaches_them(lab: Lab) -> None:
    for name in NAMES:
        assert _reaches(lab, name)
        for other in NAMES:
            said = lab.run(
                name, ("curl", "-s", "--max-time", "3", f"telnet://{other}:22"), stdin=b"\n"
            ).stdout
            assert said.startswith(b"SSH-2.0-"), (name, other)


@pytest.mark.parametrize("name", NAMES)
def test_the_key_logs_in_as_root_and_as_ops_who_may_use_docker(lab: Lab, name: str) -> None:
    assert _ssh(lab, name, "hostname; id -un").stdout.split() == [name, "root"]
    assert _ssh(lab, f"ops@{name}", "id -un; docker version -f '{{.Server.Os}}'").stdout.split() == [
        "ops",
        "linux",
    ]


def test_a_shell_that_stays_open_answers_each_script_by_itself(lab: Lab) -> None:
    del lab
    with host_shell("old") as shell:
        assert shell.ask("cd /tmp; hostname; echo gone >&2; exit 3") == Answer(3, "old\ngone")
        assert shell.ask("printf no-newline; cat") == Answer(0, "no-newline")
        assert shell.say("pwd") == "/root"


def test_each_host_has_a_key_of_its_own_and_another_key_is_refused(lab: Lab, tmp_path: Path) -> None:
    lines = lab.known_hosts.read_text(encoding="utf-8").splitlines()
    assert len({line.split()[2] for line in lines}) == len(NAMES)
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"old {' '.join(lines[1].split()[1:])}\n", encoding="utf-8")
    done = _ssh(lab, "old", "true", options=("-o", f"UserKnownHostsFile={swapped}"))
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_no_python_can_be_called_on_a_host(lab: Lab, name: str) -> None:
    for word in ("python", "python3", "python3.11", "python3.13"):
        assert _ssh(lab, name, f"command -v {word}").returncode != 0
    everywhere = ("find", "/", "-xdev", "-regex", r".*/python[0-9.]*", "-perm", "/111", "!", "-type", "d")
    assert lab.exec(name, everywhere) == ""


def test_only_the_oldest_kind_has_an_interpreter_at_all_and_it_is_composes_own(lab: Lab) -> None:
    libraries = ("find", "/usr", "-xdev", "-name", "libpython*", "-o", "-xdev", "-name", "site-packages")
    assert lab.exec("mid", libraries) == ""
    assert lab.exec("new", libraries) == ""
    assert lab.exec("old", ("ls", "/usr/libexec/docker-compose")).split()[0] == "docker-compose-runtime"


@pytest.mark.parametrize("name", NAMES)
def test_a_container_runs_in_the_hosts_network_with_the_hosts_folder(lab: Lab, name: str) -> None:
    script = "busybox hostname; busybox ip -o -4 addr show eth0; echo made > /aisys/kit/note"
    words = ("run", "--rm", "--network", "host", "-v", "/aisys/kit:/aisys/kit", "tiny:1", "sh", "-c", script)
    said = lab.exec(name, ("docker", *words))
    assert said.split()[0] == name
    assert f" {lab.address(name)}/24 " in said
    assert lab.exec(name, ("cat", "/aisys/kit/note")) == "made\n"
    others = [other for other in NAMES if other != name]
    lab.exec(name, ("rm", "/aisys/kit/note"))
    assert all(lab.run(other, ("test", "-e", "/aisys/kit/note")).returncode for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_port_answers_from_this_machine(lab: Lab, name: str) -> None:
    serve = ("busybox", "httpd", "-f", "-p", "80")
    lab.exec(name, ("docker", "run", "-d", "--rm", "--name", "web", "-p", "8080:80", "tiny:1", *serve))

    def first_bytes() -> bytes:
        with suppress(OSError), socket.create_connection((lab.address(name), 8080), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return client.recv(100)
        return b""

    try:
        assert wait_until(lambda: first_bytes().startswith(b"HTTP/1.1 404"), 10)
    finally:
        lab.exec(name, ("docker", "rm", "-f", "web"))


COMPOSE = b"""version: "3.7"
services:
  one:
    image: tiny:1
    network_mode: host
    volumes: ["/aisys/kit:/aisys/kit"]
    command: ["busybox", "sh", "-c", "busybox hostname > /aisys/kit/by-compose; busybox sleep 1000"]
"""


@pytest.mark.parametrize(
    ("name", "compose"),
    [("old", ("docker-compose",)), ("mid", ("docker", "compose")), ("new", ("docker", "compose"))],
)
def test_compose_of_each_age_starts_a_file(lab: Lab, name: str, compose: tuple[str, ...]) -> None:
    lab.put(name, "/aisys/kit/compose.yaml", COMPOSE)
    words = (*compose, "-f", "/aisys/kit/compose.yaml", "-p", "proof")
    lab.exec(name, (*words, "up", "-d"))
    try:
        assert "proof" in lab.exec(name, ("docker", "ps", "--format", "{{.Names}}"))
        wait = "until test -s /aisys/kit/by-compose; do sleep 0.1; done; cat /aisys/kit/by-compose"
        assert lab.exec(name, ("timeout", "10", "sh", "-c", wait)) == f"{name}\n"
    finally:
        lab.exec(name, (*words, "down", "-t", "0"))


def test_a_cut_host_is_silent_until_it_is_restored(lab: Lab) -> None:
    lab.cut("mid")
    assert not _reaches(lab, "mid")
    assert _reaches(lab, "new")
    assert {row["host"]: row["link"] for row in lab.status()}["mid"] == "cut"
    lab.restore("mid")
    assert _reaches(lab, "mid")


def test_a_rate_limits_both_ways(lab: Lab) -> None:
    megabytes = 5

    def seconds_for(words: str) -> float:
        started = time.monotonic()
        argv = ("ssh", "-F", str(lab.ssh_config), "old", words)
        subprocess.run(argv, input=bytes(megabytes * 1_000_000), capture_output=True, check=True)
        return time.monotonic() - started

    to_host, from_host = "cat > /dev/null", f"head -c {megabytes}000000 /dev/zero"
    lab.slow("old", rate="20mbit")
    try:
        at_that_rate = megabytes * 8 / 20
        assert 0.9 * at_that_rate < seconds_for(to_host) < 5 * at_that_rate
        assert 0.9 * at_that_rate < seconds_for(from_host) < 5 * at_that_rate
        assert {row["host"]: row["link"] for row in lab.status()}["old"] == "20 Mbit/s"
    finally:
        lab.restore("old")
    assert min(seconds_for(to_host), seconds_for(from_host)) < 0.9 * at_that_rate


def test_a_delay_is_added_to_the_round_trip(lab: Lab) -> None:
    def seconds_to_connect() -> float:
        started = time.monotonic()
        socket.create_connection((lab.address("old"), 22), timeout=5).close()
        return time.monotonic() - started

    lab.slow("old", delay="200ms", rate="1gbit")
    try:
        seconds_to_connect()
        assert 0.2 <= min(seconds_to_connect() for _ in range(3)) < 0.4
    finally:
        lab.restore("old")
    assert min(seconds_to_connect() for _ in range(3)) < 0.2


def test_loss_loses_its_part_of_the_packets(lab: Lab) -> None:
    def datagrams_that_came() -> int:
        numbers = [line.split() for line in lab.exec("old", ("grep", "^Udp:", "/proc/net/snmp")).splitlines()]
        return int(dict(zip(*numbers, strict=True))["NoPorts"])

    lab.slow("old", loss="30%")
    try:
        before = datagrams_that_came()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(1000):
                sender.sendto(b"x", (lab.address("old"), 9))
                time.sleep(0.0002)
        time.sleep(0.2)
        assert 600 < datagrams_that_came() - before < 800
    finally:
        lab.restore("old")


def test_the_sink_counts_nothing_until_something_is_planted(lab: Lab) -> None:
    with lab.sink(("old", "mid")) as sink:
        lab.exec("old", ("curl", "-s", "--max-time", "3", "telnet://mid:22"), stdin=b"\n")
        lab.exec("mid", ("docker", "run", "--rm", "--network", "host", "tiny:1", "busybox", "true"))
        assert sink.counts() == {"packets": 0, "queries": 0}
        lab.run("old", ("curl", "-s", "--max-time", "5", "http://example.com/"))
        by_host = sink.counts()
        assert by_host["packets"] > 0
        assert by_host["queries"] > 0
        lab.run("mid", ("curl", "-s", "--max-time", "5", f"http://{OUTSIDE}/"))
        assert sink.counts()["packets"] > by_host["packets"]
    assert lab.run("old", ("curl", "-s", "--max-time", "5", f"http://{OUTSIDE}/")).returncode == 7


@pytest.mark.parametrize("network", ["host", "bridge"])
@pytest.mark.parametrize("name", NAMES)
def test_the_sink_counts_what_containers_send(lab: Lab, name: str, network: str) -> None:
    with lab.sink(NAMES) as sink:
        curl = ("curl", "-s", "--max-time", "5", "http://example.com/")
        words = ("run", "--rm", "--network", network, "-v", "/usr:/usr:ro", "tiny:1", *curl)
        assert lab.run(name, ("docker", *words)).returncode == 7
        counts = sink.counts()
        assert counts["packets"] > 0
        assert counts["queries"] > 0


def test_a_hosts_disk_can_be_filled_and_emptied(lab: Lab) -> None:
    lab.fill("new", 20)
    write = ("dd", "if=/dev/zero", "of=/aisys/big", "bs=1M", "count=50")
    assert b"No space left" in lab.run("new", write).stderr
    lab.exec("new", ("rm", "/aisys/big"))
    lab.empty("new")
    lab.exec("new", write)
    lab.exec("new", ("rm", "/aisys/big"))


def test_an_engine_stops_and_starts_and_takes_settings(lab: Lab) -> None:
    lab.engine_stop("mid")
    assert lab.run("mid", ("docker", "info")).returncode != 0
    assert {row["host"]: row["state"] for row in lab.status()} == {
        "old": "up",
        "mid": "no engine",
        "new": "up",
    }
    lab.engine_start("mid")
    assert "tiny" in lab.exec("mid", ("docker", "image", "ls", "--format", "{{.Repository}}"))
    lab.engine_set("mid", {"labels": ["kit.lab=yes"]})
    assert lab.exec("mid", ("docker", "info", "--format", "{{.Labels}}")).strip() == "[kit.lab=yes]"
    lab.engine_set("mid", {"labels": None})
