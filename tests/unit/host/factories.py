"""Facts about a fit host; override by keyword."""

from __future__ import annotations

from typing import Any

from kit.host.facts import Gpu, HostFacts
from kit.project.model import HostSpec


def gpu(index: int = 0, **overrides: Any) -> Gpu:
    fields = {"index": index, "uuid": f"GPU-{index:04d}", "name": "NVIDIA L20", "memory_bytes": 48 << 30}
    return Gpu(**{**fields, **overrides})


def host_facts(**overrides: Any) -> HostFacts:
    fields: dict[str, Any] = {
        "host": "gpu1",
        "hostname": "node1",
        "uid": 1000,
        "gid": 1000,
        "docker_gid": 998,
        "cores": 32,
        "memory_bytes": 256 << 30,
        "root": "/aisys/kit",
        "root_writable": True,
        "free_bytes": 500 << 30,
        "engine_version": "20.10.24",
        "engine_error": "",
        "engine_free_bytes": 500 << 30,
        "containerd_store": False,
        "compose": ("docker", "compose"),
        "compose_version": "2.26.1",
        "nvidia_runtime": True,
        "driver_version": "550.54.15",
        "gpus": (gpu(0), gpu(1)),
        "clock": 1_800_000_000.0,
        "clock_offset": 0.0,
        "resolves_to_loopback": False,
        "interfaces": (("eth0", "10.0.0.11"),),
        "listening": (22,),
        "shm_bytes": 128 << 30,
        "architecture": "x86_64",
        "user": "ops",
    }
    return HostFacts(**{**fields, **overrides})


def host_spec(**overrides: Any) -> HostSpec:
    return HostSpec(**{"address": "10.0.0.11", "user": "ops", **overrides})
