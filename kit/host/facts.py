"""What is true of a host: one POSIX shell script, one round trip, parsed into values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a running container of kit has to itself on a host."""

    container: str
    job: str
    gpus: tuple[str, ...] = ()
    """As kit asked for them: indices or UUIDs."""
    port: int | None = None
    """Where the ranks of a training meet."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was found on a host."""

    host: str
    hostname: str
    uid: int
    gid: int
    docker_gid: int | None
    """Group of the engine's socket; None when there is no socket."""
    cores: int
    memory_bytes: int
    root: str
    root_writable: bool
    free_bytes: int
    """Free on the file system of `root`."""
    engine_version: str | None
    """None when no engine answers."""
    engine_error: str
    """Why it does not answer; empty when it does."""
    engine_free_bytes: int | None
    """Free on the file system of the engine's data folder, when it can be seen."""
    containerd_store: bool
    compose: tuple[str, ...]
    """The compose command found, after sudo where that is needed: `("docker", "compose")`,
    `("docker-compose",)` or `()`."""
    compose_version: str | None
    nvidia_runtime: bool
    driver_version: str | None
    gpus: tuple[Gpu, ...]
    clock: float
    """Seconds since the epoch on the host, when the script ran."""
    clock_offset: float
    """Seconds that the host's clock is ahead of this machine's, give or take the round trip."""
    resolves_to_loopback: bool
    """The host's own name resolves to 127.0.0.0/8."""
    interfaces: tuple[tuple[str, str], ...]
    """(interface, IPv4 address) pairs, loopback left out."""
    listening: tuple[int, ...]
    """TCP ports that something listens on."""
    shm_bytes: int
    architecture: str = ""
    """As `uname -m` says, e.g. `x86_64`."""
    images: tuple[tuple[str, str], ...] = ()
    """(identity tag, image ID) pairs that the engine has."""
    engine_on_root_disk: bool = True
    """The engine's data folder and `root` share a file system, and so its room."""
    image_env: tuple[tuple[str, str], ...] = ()
    """(identity tag, `NAME=VALUE`) pairs: what the engine's images ask of the NVIDIA runtime."""
    user: str = ""
    """The login's name."""
    docker: tuple[str, ...] = ("docker",)
    """How docker is called there: for a user who may only do that, `("sudo", "-n", "docker")`."""
    sudo_error: str = ""
    """Why sudo did not reach an engine that refuses the user itself; empty when it did or was not asked."""
    held: tuple[Held, ...] = ()
    """What containers of kit hold that run there, whoever started them."""
    aes: bool = False
    """Its processor is known to have AES instructions."""
