"""Valid inputs to begin with, and some that are known to be odd."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from kit.bundle.frame_index import dump_index, piece_of
from kit.bundle.volumes import VolumeForm
from kit.project.lock import ImageLock, Lock, PinnedFile, TreePin, dump_lock
from kit.sbom.image_contents import ImageContents
from kit.sbom.image_document import image_document
from kit.sbom.layer_records import LayerRecords
from kit.sbom.package import Distribution, Package
from kit.sbom.records_json import dump_records
from kit.ship.chain.wire import Want, alive, frame_message, hello, want_message
from kit.ship.early import Early
from kit.signature.seen import SeenBundle, SeenBundles, dump_seen
from tests.factories import project_document
from tests.fuzz import run_readers
from tests.fuzz.bundle_readers import SAVED_LAYER
from tests.fuzz.other_readers import DIGEST, RECORDS
from tests.hostile.forge import member, tar_of_members
from tests.hostile.test_layers import LAWFUL, LAWLESS
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.bundle.fake_engine import FORMS, FakeEngine
from tests.unit.host.test_gather import ANSWER
from tests.unit.signature.soft_keys import ed25519_key, sshsig

if TYPE_CHECKING:
    from kit.bundle.source import BundleSource

DESCRIBED = (
    b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\nPackage: x\n",
    b"Package: base-files\nVersion: 12.4\n",
    b"P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:busybox\nV:1\n",
    (
        b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        b"\nFiles: *\nLicense: GPL-3+\n"
    ),
    b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
    (
        b"Metadata-Version: 2.4\nName: a\nVersion: 1\nLicense-Expression: MIT OR Apache-2.0\n"
        b"Classifier: License :: OSI Approved :: MIT License\n\ntext\n"
    ),
    b"Apache License\nVersion 2.0, January 2004\n",
    b'{"name": "a", "version": "1", "license": "MIT", "licenses": [{"type": "ISC"}]}',
    b'#define PY_VERSION      "3.11.2"\n',
)
"""Contents of `RECORDS`."""
CARD = b"---\nlicense: other\nlicense_name: qwen\ntags: [a, 2024-01-01, 1.5, ~, 0x1f]\n---\n# A model\n"


def _lock() -> bytes:
    image = ImageLock("train", "debian:12", DIGEST, DIGEST, DIGEST, ("a",), "linux/amd64")
    tree = TreePin("model", "m", "modelscope:a/b", "v1", (PinnedFile("w", 1, DIGEST),), (), "v1")
    return dump_lock(Lock("0.1.0", "cpu", DIGEST, "2026-05-01T12:30:00Z", (image,), (tree,)))


def _order(source: BundleSource) -> bytes:
    manifest = source.manifest
    document = {
        "who": "me",
        "root": "/aisys/kit",
        "store": {"containerd": False, "version": "20.10"},
        "manifest": source.manifest_bytes.decode(),
        "signature": None,
        "images": [image.name for image in manifest.images],
        "trees": [[tree.kind, tree.name] for tree in manifest.trees],
        "loads": [image.name for image in manifest.images],
        "left_out": [],
        "indexes": {manifest.blobs[0].digest: "AAAA"},
        "early": Early("0123abcd", {manifest.blobs[0].digest: ((0, 1),)}).document,
    }
    return json.dumps(document).encode()


def _archives() -> list[bytes]:
    found = []
    for form in FORMS:
        engine = FakeEngine(form)
        image, archive = engine.images[engine.add(SAVED_LAYER)]
        found.append(image.image_id.removeprefix("sha256:").encode() + archive)
    return found


def _package_seeds() -> dict[str, list[bytes]]:
    packages = (
        Package("deb", "bash", "5.2", ("GPL-3.0-or-later",), "amd64"),
        Package("pypi", "a", "1", place="a"),
    )
    distribution = Distribution("debian", "12", "Debian 12")
    records = LayerRecords(
        (("status", packages),), (("c", ("MIT",)),), (("l", "t"),), (("etc/os-release", distribution),)
    )
    layer = tar_of_members(*(member(name, data) for name, data in zip(RECORDS, DESCRIBED, strict=True)))
    document = image_document("train", DIGEST, ImageContents(packages, distribution, ("rpm",)), "0.1.0")
    return {
        "package_records": [bytes([number]) + data for number, data in enumerate(DESCRIBED)],
        "inventory": [layer, *LAWFUL.values()],
        "kept_records": [dump_records(records)],
        "bill_of_materials": [document],
        "model_card": [CARD, CARD + b'\0{"license": "mit"}\0MIT License'],
    }


def _signature_seeds() -> dict[str, list[bytes]]:
    key = ed25519_key()
    seen = SeenBundle("2026-05-01T12:30:00Z", DIGEST, "2026-05-01T12:30:00Z")
    lines = [f"alice@example {key.line}\n".encode(), b'# x\n*@a namespaces="kit-bundle" ' + key.line.encode()]
    return {
        "signature": [sshsig(key, b"{}\n")],
        "allowed_signers": lines,
        "policy": [b"require_signature: true\nallowed_signers: signers\nsigners: [a]\nrefuse_older: true\n"],
        "seen_bundles": [dump_seen(SeenBundles({"demo": seen}, {"other": seen}))],
        "known_hosts": [b"[gpu1]:2222 " + key.line.encode() + b"\n@revoked *,!x " + key.line.encode()],
    }


def _other_seeds() -> dict[str, list[bytes]]:
    listed = {
        "digest": DIGEST,
        "size": 7,
        "platform": {"os": "linux", "architecture": "amd64", "variant": "v2"},
    }
    answer = {
        "mediaType": "a/b",
        "manifests": [listed, listed],
        "config": listed,
        "os": "linux",
        "token": "t",
    }
    return {
        "lock": [_lock()],
        "built_config": [
            b'{"os":"linux","created":"x","config":{"Env":["A=b"],"Image":"y"},"history":[{"created":"z"}]}'
        ],
        "registry_answer": [json.dumps(answer).encode()],
        "challenge": [b'Bearer realm="https://a/token",service="a",scope="b", Basic realm=x'],
        "needed_frames": [json.dumps({"sha256:" + "0" * 64: [[0, 2], [3, 6]]}).encode()],
        "chain_messages": [
            hello() + want_message(Want({"sha256:" + "0" * 64: ((0, 2), (3, 6))}, {})) + alive(),
            hello() + frame_message("sha256:" + "0" * 64, 1, 10) + bytes(10) + alive(),
        ],
        "chain_events": [
            b'{"event":"passing","came":{"a":10},"given":{"b":[10,20]}}',
            b'{"event":"predecessor_lost","name":"a","why":"x","connected":false}',
            b'{"event":"listening","port":4000,"gives":["sha256:%s"]}' % (b"0" * 64),
            b'{"event":"whole"}',
        ],
        "have": [
            b"kit:blob 3 8 512 ./" + b"0" * 64 + b'\nkit:stored sha256:1 ["a"] ["b"]\n',
            b"kit:partial 9 0 512 ./" + b"1" * 64 + b"\nkit:frames " + b"2" * 64 + b" AAAA\n",
        ],
        "facts": [ANSWER.encode()],
        "paces": [b'{"ops@10.0.0.11:": 1000000, "@b:22": 2.5}'],
        "project": [json.dumps(project_document()).encode(), b"version: 1\nstack: cpu\nimages: [train]\n"],
        "training_data": [
            b'{"instruction":"q","input":"","output":"a","history":[["x","y"]]}\n{"instruction":"q"}\n',
            b'{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"label":true}\n',
            (
                b'[{"conversations":[{"from":"human","value":"q"}],"chosen":{"from":"gpt","value":"a"},'
                b'"rejected":{"from":"function_call","value":"{}"},"tools":"[]"}]'
            ),
        ],
        "volume_size": [b"4G", b"1.5GiB", b"700 MB", b"dvd"],
        "stored_layer": [zstandard.ZstdCompressor(level=level).compress(SAVED_LAYER) for level in (1, 19)],
        "frame_index": [dump_index([piece_of(b"a"), piece_of(b"bc")])],
        "docker_archive": _archives(),
        "layer": [*LAWFUL.values(), *(data for data in LAWLESS.values() if len(data) < 1 << 16)],
    }


@cache
def seeds() -> dict[str, list[bytes]]:
    """Return some valid and some hostile inputs for each target."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = packed_bundle(folder)
        tarball = as_tarball(source, folder / "b.tar").read_bytes()
        listing = as_tarball(source, folder / "v.tar", VolumeForm(4096, 1)).read_bytes()
        config = b"".join(source.read(source.manifest.images[0].config.digest))
        order = _order(source)
    bundle = {
        "manifest": [source.manifest_bytes],
        "tar_form": [tarball],
        "volumes": [listing],
        "image_config": [config],
        "order": [order],
    }
    return bundle | _package_seeds() | _signature_seeds() | _other_seeds() | run_readers.SEEDS
