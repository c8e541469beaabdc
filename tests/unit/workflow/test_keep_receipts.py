from __future__ import annotations

import json
import stat
from pathlib import Path

from kit.bundle.digest import blob_of
from kit.errors import TransferError
from kit.progress import NoProgress
from kit.ship.receipt import Receipt
from kit.workflow.keep_receipts import Milestones, keep_receipts, receipt_documents
from tests.unit.ship.factories import ship_bundle_source

DONE = Receipt("gpu1", "sha256:" + "0" * 64, 10, 20, (("tag", "id"),), ("tag",), ("models/tiny",), 1.5, 2, 30)
CUT = TransferError("the connection was lost on the way", where="gpu2", why="cut", fix="run kit ship again")


def kept(folder: Path) -> tuple[Path, str]:
    """Keep receipts of a host that got all and of one that was cut off; return where, and the bundle."""
    source = ship_bundle_source(folder)
    milestones = Milestones(NoProgress())
    milestones.phase("gpu2", "send", send_bytes=100)
    milestones.sent("gpu2", 40)
    milestones.sent("gpu2", 2)
    milestones.phase("gpu2", "failed", text="x")
    told = receipt_documents(source, (DONE,), {"gpu2": CUT}, milestones, "me@here")
    made = keep_receipts(folder, told)
    assert made is not None
    return made, blob_of(source.manifest_bytes).digest


def test_every_host_has_a_receipt_those_that_failed_too(tmp_path: Path) -> None:
    made, bundle = kept(tmp_path)
    assert sorted(path.name for path in made.iterdir()) == ["gpu1.json", "gpu1.txt", "gpu2.json", "gpu2.txt"]
    done, failed = (json.loads((made / f"{host}.json").read_text()) for host in ("gpu1", "gpu2"))
    assert (done["outcome"], done["who"], done["files"], done["file_bytes"]) == ("done", "me@here", 2, 30)
    assert (failed["outcome"], failed["bundle"], failed["host"]) == ("failed", bundle, "gpu2")
    assert (failed["reached"], failed["sent_bytes"]) == ("send", 42)
    assert failed["error"]["fix"] == "run kit ship again"
    assert (
        (made / "gpu2.txt")
        .read_text()
        .endswith("FAILED after send: gpu2: the connection was lost on the way: cut\n")
    )


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    made, _ = kept(tmp_path)
    folders = (tmp_path / ".kit", tmp_path / ".kit/receipts", made)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}


def test_two_ships_in_one_second_keep_theirs_apart(tmp_path: Path) -> None:
    one, _ = kept(tmp_path)
    other, _ = kept(tmp_path)
    assert one != other
    assert len(list(one.iterdir())) == len(list(other.iterdir())) == 4


def test_without_hosts_nothing_is_made(tmp_path: Path) -> None:
    assert keep_receipts(tmp_path, iter(())) is None
    assert not (tmp_path / ".kit").exists()
