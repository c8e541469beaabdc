"""What people enter in a data job stays: through the end of a run, and into another image.

The image is a stand-in for easy-dataset: a shell's web server on the same port, with the same two folders.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from kit.run import commands
from tests.unit.jobs.launch_factories import RUN_ID, context_of, document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.jobs.launch import HostLaunch
    from tests.lab import Lab

pytestmark = pytest.mark.lab
HOST = "old"
ROOT = "/aisys/kit-data"
PORT = 17170
COMPOSE = ("docker-compose",)
SERVE = 'CMD ["/bin/busybox", "httpd", "-f", "-p", "1717", "-h", "/app"]'


def _image(release: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data in (
            ("bin/busybox", Path("/bin/busybox").read_bytes()),
            ("app/release", release.encode()),
            ("app/prisma/schema.prisma", b"model Project {}"),
            ("app/local-db/.keep", b""),
        ):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    from tests.lab import Lab, LabUnavailableError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "datatest")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        try:
            started = Lab.up(((HOST, "20.10"),))
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            for release in ("1", "2"):
                words = ("docker", "import", "--change", SERVE, "-", f"kit.invalid/data:{release}")
                started.exec(HOST, words, stdin=_image(release))
            yield started
        finally:
            started.down(purge=True)


def _launched(lab: Lab, release: str) -> HostLaunch:
    """Lay out a run of the data job with one release of its image."""
    hosts = {HOST: {"address": lab.address(HOST), "user": "ops", "root": ROOT}}
    jobs = {"data": {"kind": "data", "hosts": [HOST], "port": PORT}}
    project = parse_project(document(hosts=hosts, images=["data"], jobs=jobs))
    context = context_of(project, hostname=HOST)
    context = type(context)({"data": f"kit.invalid/data:{release}"}, context.facts)
    (share,) = make_launch(project, "data", f"{RUN_ID}{release}", context).hosts
    lab.exec(HOST, ("mkdir", "-p", share.run_folder), user="ops")
    for file in share.files:
        words = ("sh", "-c", 'cat > "$1"', "sh", f"{share.run_folder}/{file.path}")
        lab.exec(HOST, words, user="ops", stdin=file.content.encode())
    return share


def _compose(lab: Lab, share: HostLaunch, *words: str) -> None:
    file = f"{share.run_folder}/compose.yaml"
    lab.exec(HOST, (*COMPOSE, "-p", share.compose_project, "-f", file, *words), user="ops")


def _get(lab: Lab, path: str) -> str:
    return lab.exec(
        HOST, ("curl", "-sf", "--retry", "20", "--retry-connrefused", f"http://127.0.0.1:{PORT}/{path}")
    )


def test_what_was_entered_outlives_the_run_and_the_image(lab: Lab) -> None:
    first = _launched(lab, "1")
    _compose(lab, first, *commands.UP)
    assert _get(lab, "release") == "1"
    # The engine fills a new volume from the image.
    assert _get(lab, "prisma/schema.prisma") == "model Project {}"
    enter = "echo mine > /app/local-db/project; echo rows > /app/prisma/db.sqlite"
    lab.exec(HOST, ("docker", "exec", first.compose_project, "/bin/busybox", "sh", "-c", enter))
    _compose(lab, first, *commands.DOWN)

    second = _launched(lab, "2")
    assert second.compose_project == first.compose_project
    _compose(lab, second, *commands.UP)
    assert _get(lab, "release") == "2"
    assert _get(lab, "local-db/project") == "mine\n"
    assert _get(lab, "prisma/db.sqlite") == "rows\n"
    assert _get(lab, "prisma/schema.prisma") == "model Project {}"
    _compose(lab, second, *commands.DOWN)
