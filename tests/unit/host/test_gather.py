from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from kit.errors import UnreachableError
from kit.host.answers import marked_lines
from kit.host.facts import Held, HostFacts
from kit.host.gather import SCRIPT, gather_facts
from kit.host.parse_facts import parse_facts
from kit.host.port import Argv, Completed
from tests.unit.host.deaf_host import DeafHost
from tests.unit.host.factories import host_spec

ANSWER = """\
Welcome to node1! kit is installed here.
kit:hostname node1
kit:architecture x86_64
kit:user ops
kit:uid 1000
kit:gid 1001
kit:docker_gid 998
kit:cores 32
kit:memory_kib 1048576
kit:root_writable 1
kit:root_df /dev/mapper/vg0-big disk 264212084 29564212  76826700      28% /aisys data
kit:root_device 2049
kit:shm_df tmpfs             24684096     0  24684096       0% /dev/shm
kit:engine_version 28.5.2
kit:engine_df /dev/sdb1 1000 100 900 10% /var/lib/docker
kit:engine_device 2065
kit:store [["driver-type","io.containerd.snapshotter.v1"]]
kit:runtimes {"nvidia":{"path":"nvidia-container-runtime"},"runc":{"path":"runc"}}
kit:image kit.invalid/train:1f3a5c7e9b2d sha256:abc
kit:image_env kit.invalid/train:1f3a5c7e9b2d NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla
kit:held kit-serve-gpu1-0123ab serve gpus=0,GPU-bb port=
kit:held kit-train-gpu1-0123ab train gpus= port=29500
kit:held half a line
kit:compose_v2 2.26.1-4
kit:compose_v1 1.29.2
kit:gpu 0, GPU-aa, NVIDIA L20, 46068, 550.54.15
kit:gpu 1, GPU-bb, NVIDIA L20, 46068, 550.54.15
kit:gpu Failed to initialize NVML
kit:own_address 127.0.1.1       STREAM node1
kit:interface lo 127.0.0.1
kit:interface eth0 10.0.0.11
kit:listening 0016
kit:listening 733C
kit:listening 0016
kit:clock 1800000000.250000000
kit:end 1
"""


def lines(**changes: str) -> list[str]:
    kept = [line for line in ANSWER.splitlines() if line.removeprefix("kit:").split(" ")[0] not in changes]
    return kept + [f"kit:{key} {value}" for key, value in changes.items() if value]


def facts_of(lines: list[str], clock_heard: float = 0) -> HostFacts:
    answer = "\n".join(lines).encode()
    return parse_facts("gpu1", "/aisys/kit", marked_lines("gpu1", answer), clock_heard)


def test_an_answer_becomes_facts() -> None:
    facts = facts_of(lines(), clock_heard=1_799_999_997.25)
    assert (facts.host, facts.hostname, facts.user, facts.uid, facts.gid) == (
        "gpu1",
        "node1",
        "ops",
        1000,
        1001,
    )
    assert (facts.docker_gid, facts.cores, facts.memory_bytes) == (998, 32, 1 << 30)
    assert (facts.root_writable, facts.free_bytes) == (True, 76826700 * 1024)
    assert (facts.engine_version, facts.engine_free_bytes, facts.engine_on_root_disk) == (
        "28.5.2",
        900 * 1024,
        False,
    )
    assert (facts.containerd_store, facts.nvidia_runtime) == (True, True)
    assert (facts.compose, facts.compose_version) == (("docker", "compose"), "2.26.1")
    assert [(gpu.index, gpu.uuid, gpu.memory_bytes) for gpu in facts.gpus] == [
        (0, "GPU-aa", 46068 << 20),
        (1, "GPU-bb", 46068 << 20),
    ]
    assert facts.driver_version == "550.54.15"
    assert facts.clock_offset == pytest.approx(3.0)
    assert facts.resolves_to_loopback
    assert facts.interfaces == (("eth0", "10.0.0.11"),)
    assert facts.listening == (22, 29500)
    assert facts.held == (
        Held("kit-serve-gpu1-0123ab", "serve", ("0", "GPU-bb")),
        Held("kit-train-gpu1-0123ab", "train", (), 29500),
    )
    assert facts.shm_bytes == 24684096 * 1024
    assert facts.images == (("kit.invalid/train:1f3a5c7e9b2d", "sha256:abc"),)
    asked = "NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla"
    assert facts.image_env == (("kit.invalid/train:1f3a5c7e9b2d", asked),)


def test_the_old_compose_is_taken_when_the_new_one_is_missing() -> None:
    facts = facts_of(lines(compose_v2="docker: 'compose' is not a docker command."))
    assert (facts.compose, facts.compose_version) == (("docker-compose",), "1.29.2")


def test_a_processor_is_taken_to_lack_aes_unless_it_says_so() -> None:
    assert facts_of(lines(aes="1")).aes
    assert not facts_of(lines()).aes
    assert not facts_of(lines(aes="maybe")).aes


def test_an_engine_that_does_not_answer_leaves_its_reason() -> None:
    facts = facts_of(lines(engine_version="", engine_error="permission denied"))
    assert (facts.engine_version, facts.engine_error) == (None, "permission denied")


def test_an_engine_that_is_reached_by_sudo_alone_is_called_so() -> None:
    facts = facts_of(lines(sudo="sudo -n"))
    assert facts.docker == ("sudo", "-n", "docker")
    assert facts.compose == ("sudo", "-n", "docker", "compose")
    assert facts_of(lines()).docker == ("docker",)


def test_why_sudo_did_not_help_is_kept() -> None:
    said = lines(engine_version="", engine_error="permission denied", sudo_error="a password is required")
    facts = facts_of(said)
    assert (facts.docker, facts.sudo_error) == (("docker",), "a password is required")


def test_an_engine_whose_folder_cannot_be_seen_is_taken_to_share_the_disk() -> None:
    facts = facts_of(lines(engine_df="", engine_device=""))
    assert (facts.engine_free_bytes, facts.engine_on_root_disk) == (None, True)


def test_a_clock_without_fractions_is_good_to_half_a_second() -> None:
    assert facts_of(lines(clock="1800000000.%N")).clock == 1_800_000_000.5


@pytest.mark.parametrize("key", ["uid", "cores", "memory_kib"])
def test_an_answer_without_a_needed_number_is_refused(key: str) -> None:
    with pytest.raises(UnreachableError, match=key):
        facts_of(lines(**{key: "many"}))


class SayingHost(DeafHost):
    """A host that says one thing to everything."""

    name = "gpu1"

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[tuple[Argv, bytes]] = []

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        del timeout
        self.asked.append((argv, stdin))
        return Completed(0, self.text.encode(), b"")

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        self.asked.append((argv, b"".join(chunks)))
        for line in self.text.encode().splitlines():
            if on_line:
                on_line(line)
        return Completed(0, b"", b"")

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        self.asked.append((argv, stdin))
        sink(self.text.encode())
        return Completed(0, b"", b"")

    def close(self) -> None:
        pass


def test_facts_come_in_one_question() -> None:
    host = SayingHost(ANSWER)
    facts = gather_facts(host, host_spec(root="/data/kit"), now=lambda: 1_800_000_000.0)
    assert host.asked == [(("sh", "-s", "/data/kit"), SCRIPT.encode())]
    assert facts.clock_offset == pytest.approx(0.25)
    assert facts.root == "/data/kit"


def test_a_shell_that_stops_half_way_is_not_believed() -> None:
    with pytest.raises(UnreachableError, match="to the end"):
        gather_facts(SayingHost(ANSWER.replace("kit:end 1\n", "")), host_spec())
