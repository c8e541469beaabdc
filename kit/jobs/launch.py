"""A launch: everything that must stand on the hosts for a job to run. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.host.facts import HostFacts
    from kit.jobs.network import Route


@dataclass(frozen=True, slots=True)
class LaunchFile:
    """A file that kit writes into the run's folder on a host."""

    path: str
    """Relative to the run's folder."""
    content: str
    mode: int = 0o640

    @property
    def is_secret(self) -> bool:
        """Nobody but its owner may see what stands in it."""
        return self.mode & 0o077 == 0


@dataclass(frozen=True, slots=True)
class AdapterShape:
    """What an adapter says of itself in its adapter_config.json."""

    rank: int
    model: str
    """The folder of its model, as the training's container saw it."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's place on a host: shipped, or made by an earlier job."""

    name: str
    path: str
    """Absolute folder on the host."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """(host, its folder there), where a host has it in another place."""
    adapter: AdapterShape | None = None
    """None for a whole model, and where nobody looked."""

    def at(self, host: str) -> str:
        """Return its folder on a host."""
        return dict(self.elsewhere).get(host, self.path)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """From what a training goes on."""

    checkpoint: str
    """Name of the folder under `resume` in the run's folder."""
    adapter_only: bool = False
    """Its weights are trained on, and everything else begins anew."""


@dataclass(frozen=True, slots=True)
class ServedEndpoint:
    """Where a serve job answers."""

    host: str
    port: int
    bind: str
    identity: str = ""
    """Differs when another model, or the same one in another way, is served under the same name."""
    api_key: str = field(default="", repr=False)
    tls: bool = False
    certificate: str = field(default="", repr=False)
    """The one that it must show, PEM."""


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What a launch depends on beside kit.yaml: the bundle and the hosts as they are."""

    images: Mapping[str, str]
    """Image name -> identity tag, as in the bundle's manifest."""
    facts: Mapping[str, HostFacts]
    """Host name -> what was found there."""
    sources: Mapping[str, ModelSource] = field(default_factory=dict)
    """Train or export job -> the folder on the job's hosts that holds what it made.

    Shipped models need no entry: they stand under ROOT/models.
    """
    routes: Mapping[str, Route] = field(default_factory=dict)
    """Host name -> its route to the master (`kit.jobs.network.route_argv`), where it was asked for."""
    resume: ResumePoint | None = None
    """None for a training that begins anew, and for other jobs."""
    endpoints: Mapping[str, ServedEndpoint] = field(default_factory=dict)
    """Serve job -> where it answers, for jobs that ask it."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """A file that a job of kit.yaml names -> what stands in it."""
    data_bytes: Mapping[str, int] = field(default_factory=dict)
    """Dataset → its size, where the bundle tells it."""

    def secret(self, path: str) -> str:
        """Return what stands in a file that kit.yaml names. Raises KitError when nobody read it: a bug."""
        if path not in self.secrets:
            raise KitError("a secret that was not read", where=path)
        return self.secrets[path]


@dataclass(frozen=True, slots=True)
class HostLaunch:
    """One host's share of a launch."""

    host: str
    run_folder: str
    """Absolute, e.g. `/aisys/kit/runs/train/20260101-120000-ab12`."""
    compose_project: str
    """e.g. `kit-train-gpu1`."""
    service: str
    """The compose service whose container is watched."""
    image_tag: str
    """Identity tag; the image must be on the host."""
    folders: tuple[str, ...]
    """Folders to make inside run_folder before the start (`out`, `logs` …)."""
    files: tuple[LaunchFile, ...]
    """`compose.yaml` is always among them."""
    kept: tuple[str, ...] = ()
    """Absolute folders, outside the run's, to make where they are not: what later runs find again."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A job, ready to start."""

    job: str
    kind: str
    run_id: str
    hosts: tuple[HostLaunch, ...]
    rank_zero: str
    """The host whose run folder holds what the job makes."""
    endpoint_port: int | None = None
    """Port on the host's loopback (or `bind`) that answers when the job serves; None otherwise."""
    endpoint_bind: str = "127.0.0.1"
    served_name: str = ""
    """Model name to use in requests to the endpoint."""
    adapters: tuple[str, ...] = ()
    """Names of the adapters that the endpoint serves beside its model."""
    endpoint_tls: bool = False
    """It speaks HTTPS."""
    may_lose: int = 0
    """How many of the other hosts may fail while the job goes on."""
