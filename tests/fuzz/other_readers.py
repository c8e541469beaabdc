"""Readers of what images, models, registries and other machines say. As in `targets`."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit.bundle.frame_index import Frame
from kit.bundle.manifest import Blob
from kit.bundle.normalise_config import normalised_config
from kit.dataset.check import Wanted, check_file
from kit.dataset.read import Reader
from kit.errors import ConfigError, KitError
from kit.host.answers import marked_lines
from kit.host.known_hosts import find_known
from kit.host.parse_facts import parse_facts
from kit.images.registry_answers import (
    check_config,
    choose_platform,
    descriptor,
    media_type,
    parse_challenges,
    parse_document,
    parse_token,
)
from kit.progress import NoProgress
from kit.project.load import parse_project
from kit.project.lock import differences, dump_lock, parse_lock
from kit.sbom.image_contents import image_contents
from kit.sbom.image_document import image_document
from kit.sbom.layer_records import LayerObserver, LayerRecords
from kit.sbom.read_document import read_document
from kit.sbom.records_json import dump_records, parse_records
from kit.sbom.tree_document import ListedFile, TreeContents, tree_document, tree_licences
from kit.ship.agent.order import parse_order
from kit.ship.chain.backlog import Backlog
from kit.ship.chain.chain import Chain
from kit.ship.chain.tls import LinkLostError
from kit.ship.chain.wire import FRAME, WANT, read_frame_head, read_kind, read_want
from kit.ship.framed import framed
from kit.ship.have import INDEXES_LIMIT, parse_have
from kit.ship.needed_frames import cut_records, parse_need
from kit.ship.pace import parse_paces
from kit.signature.policy import parse_policy
from kit.signature.seen import dump_seen, parse_seen
from kit.written_yaml import parse_yaml

DIGEST = "sha256:" + "0" * 64
RECORDS = (
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "lib/apk/db/installed",
    "usr/share/doc/bash/copyright",
    "etc/os-release",
    "usr/lib/python3.11/site-packages/a-1.dist-info/METADATA",
    "usr/lib/python3.11/site-packages/a-1.dist-info/LICENSE",
    "app/node_modules/a/package.json",
    "usr/local/include/python3.11/patchlevel.h",
)
"""Files of an image that describe packages, one of each kind."""


def lock(data: bytes) -> None:
    """kit.lock: what is read says what it says, and is written as it was."""
    found = parse_lock(data)
    assert parse_lock(dump_lock(found)) == found
    assert not differences(found, found)
    images, trees = (image.name for image in found.images), (tree.name for tree in found.trees)
    "".join((*found.pending, *images, *trees)).encode()
    assert sum(file.size for tree in found.trees for file in tree.files) >= 0
    other = parse_lock(
        b'{"kit_lock":2,"images":[],"trees":[],"kit_version":"0","locked":"","project_digest":"",'
        b'"stack":"cpu"}'
    )
    for line in (*differences(found, other), *differences(other, found)):
        line.encode()


def training_data(data: bytes) -> None:
    """A file of training data: what is counted and what is read agree, and every kept fault has a place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.jsonl"
        path.write_bytes(data)
        wanted = Wanted(workers=1)
        report = check_file(path, wanted, NoProgress())
        assert report.faulty == sum(report.codes.values()) >= len(report.faults)
        "".join(f"{fault.line}{fault.text}" for fault in report.faults).encode()
        with suppress(ConfigError):
            entries = list(Reader(path, wanted).entries(NoProgress(), ""))
            assert len([entry for entry in entries if entry.talk is None]) == report.faulty


def described(records: LayerRecords) -> None:
    """Take records the whole way: to the cache and back, to a document, and back again."""
    assert parse_records(dump_records(records)) == records
    document = image_document("train", DIGEST, image_contents((records,)), "0.1.0")
    bill = read_document(document, "document")
    assert len(bill.packages) <= sum(len(found) for _, found in records.packages)


def package_records(data: bytes) -> None:
    """A file of an image that describes packages; the first byte says which."""
    if not data:
        return
    name = RECORDS[data[0] % len(RECORDS)]
    observer = LayerObserver()
    assert observer.wants(name, len(data))
    observer.take(name, data[1:])
    described(observer.records)


def kept_records(data: bytes) -> None:
    """The record of a layer in the cache."""
    found = parse_records(data)
    if found is not None:
        described(found)


def bill_of_materials(data: bytes) -> None:
    """A document that came in a bundle."""
    bill = read_document(data, "document")
    texts = [bill.system, bill.unread, *bill.licences, *(item.name for item in bill.packages)]
    assert all(text.isprintable() for text in texts)
    "".join(texts).encode()


def model_card(data: bytes) -> None:
    """README.md, config.json and LICENSE of a model, separated by zeros."""
    texts = (part.decode("utf-8", "replace") for part in data.split(b"\0", 2))
    licences = tree_licences(dict(zip(("README.md", "config.json", "LICENSE"), texts, strict=False)))
    files = (ListedFile("w", DIGEST, 1),)
    tree = TreeContents("model", "m", "modelscope:a/b@v1", DIGEST, files, licences)
    read_document(tree_document(tree, "0.1.0"), "document")


def built_config(data: bytes) -> None:
    """An image's config as an engine gives it: normalising twice changes nothing more."""
    once = normalised_config(data, (DIGEST,))
    assert normalised_config(once, (DIGEST,)) == once


def registry_answer(data: bytes) -> None:
    """What a registry sends in place of a manifest, a config or a token."""
    for read in (_manifest, _config, lambda document: parse_token(json.dumps(document).encode(), "r")):
        with suppress(KitError):
            read(parse_document(data, "registry"))


def _manifest(document: dict[str, Any]) -> None:
    media_type(document, "application/json")
    choose_platform(document, "registry")
    descriptor(document.get("config"), "registry")


def _config(document: dict[str, Any]) -> None:
    check_config(document, "registry")


def challenge(data: bytes) -> None:
    """A registry's WWW-Authenticate."""
    parse_challenges((data.decode("latin-1"),))


def order(data: bytes) -> None:
    """What the agent on a host is asked to do; anybody who may start it can say anything."""
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(request, dict):
        found = parse_order(request)
        assert set(found.loads) <= set(found.manifest.images)


OFFERED = {DIGEST: framed(Blob(DIGEST, 60), tuple(Frame(10, 10, b"", b"") for _ in range(6)))}


def needed_frames(data: bytes) -> None:
    """What a host's agent says that it needs."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return
    need = parse_need(said, OFFERED, "gpu1")
    assert sum(record.length for record in cut_records(need, OFFERED)) <= 60


class _Link:
    """Bytes that came from another host."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        found = self._left.read(size)
        if len(found) < size:
            raise LinkLostError("the end")
        return found


def chain_messages(data: bytes) -> None:
    """What another host of a chain says; TLS has shown that it is one."""
    link, backlog = _Link(data), Backlog(_Nothing(), OFFERED)
    with suppress(LinkLostError):
        while True:
            kind, length = read_kind(link)
            if kind == WANT:
                want = read_want(link, length, OFFERED)
                backlog.want(want)
                assert backlog.behind == 0
            elif kind == FRAME:
                head = read_frame_head(link, length, OFFERED)
                assert head.length == OFFERED[head.digest].extent(head.frame, head.frame + 1)[1]
                link.read(head.length)


class _Nothing:
    def has(self, digest: str, frame: int) -> bool:
        assert 0 <= frame < len(OFFERED[digest])
        return False


def _say(*words: object, **more: object) -> None:
    json.dumps([str(word) for word in words] + [more])


def chain_events(data: bytes) -> None:
    """What an agent says of its part in a chain."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(event, dict):
        return
    chain = Chain(("a", "b"), (1e9,), _say)
    for name in "ab":
        chain.enter(name, _say, _say, ("10.0.0.1",))
        chain.hear(name, {"event": "listening", "port": 1, "gives": [DIGEST]})
        chain.share(name, {DIGEST: ((0, 2),)})
    assert chain.hear("b", event) >= 0
    chain.look()


def have(data: bytes) -> None:
    """What a host says that it has."""
    found = parse_have(marked_lines("gpu1", data))
    assert all(size >= 0 for size in (*found.blobs.values(), *found.partial.values()))
    assert sum(map(len, found.indexes.values())) < 2 * INDEXES_LIMIT


def facts(data: bytes) -> None:
    """What a host says of itself."""
    found = parse_facts("gpu1", "/aisys/kit", marked_lines("gpu1", data), 0.0)
    assert found.free_bytes >= 0
    assert len(found.listening) <= 1 << 16
    assert (found.engine_version is None) or not found.engine_error


def paces(data: bytes) -> None:
    """The record of how fast bytes went to hosts."""
    assert all(rate >= 1 for rate in parse_paces(data).values())


def _yaml(data: bytes) -> Any:
    return parse_yaml(data.decode("utf-8", "replace"), "file")


def project(data: bytes) -> None:
    """kit.yaml."""
    parse_project(_yaml(data))


def policy(data: bytes) -> None:
    """trust.yaml."""
    parse_policy(_yaml(data), "trust.yaml")


def seen_bundles(data: bytes) -> None:
    """The record of bundles that were seen on this machine."""
    found = parse_seen(data, "seen")
    assert parse_seen(dump_seen(found), "seen") == found


def known_hosts(data: bytes) -> None:
    """A known_hosts file."""
    find_known((data.decode("utf-8", "replace"),), "[gpu1]:2222")
