"""What GNU tar writes of real files and reads back after normalising is the same but for times."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.bundle.cut_frames import cut_tar
from kit.bundle.normalise_tar import MTIME

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="owners and capabilities need root"
    ),
    pytest.mark.skipif(shutil.which("tar") is None, reason="no tar here"),
]
CAPABILITY = bytes.fromhex("0100000200040000" + "00" * 12)
"""cap_net_bind_service, effective: linux/capability.h, struct vfs_cap_data, revision 2."""
ATTRIBUTES = {"security.capability": CAPABILITY, "user.note": bytes(range(256))}


def _plant(folder: Path) -> None:
    """Make files whose names, owners, modes, links and attributes matter."""
    folder.mkdir()
    (folder / "server").write_bytes(b"binary" * 1000)
    (folder / "hard").hardlink_to(folder / "server")
    (folder / ("long" * 50)).symlink_to("target" * 30)
    (folder / "sudo").write_bytes(b"sudo")
    os.chown(folder / "sudo", 1234, 4321)
    (folder / "sudo").chmod(0o6755)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    os.mkfifo(folder / "pipe")
    for key, value in ATTRIBUTES.items():
        os.setxattr(folder / "server", key, value)


def _seen(folder: Path) -> dict[str, object]:
    """Return what the system says of each file, times aside."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        said = [status.st_mode, status.st_uid, status.st_gid, status.st_nlink]
        names = () if path.is_symlink() else sorted(os.listxattr(path))
        link = str(path.readlink()) if path.is_symlink() else ""
        found[path.name] = (said, {name: os.getxattr(path, name) for name in names}, link)
    return found


def test_owners_modes_links_and_capabilities_outlive_normalising(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    try:
        _plant(before)
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    keep = ("tar", "--xattrs", "--xattrs-include=*", "--format=posix")
    written = subprocess.run((*keep, "-C", before, "-c", "."), check=True, capture_output=True).stdout
    assert b"SCHILY.xattr.security.capability" in written
    normal = b"".join(cut_tar((written,), normalise=True))
    assert normal != written
    after.mkdir()
    subprocess.run((*keep, "-C", after, "-xp"), input=normal, check=True)
    assert _seen(after) == _seen(before)
    assert {path.lstat().st_mtime for path in after.rglob("*")} == {MTIME}
