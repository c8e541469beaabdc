"""`kit collect`: bringing home a run's record, logs and what it made, each file proven by its sha256."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.digest import Hasher, sha256_of_file
from kit.bundle.manifest import File
from kit.errors import ConfigError, TransferError, UnfitError, VerificationError
from kit.run import commands
from kit.run.curve import LOSS, Curve
from kit.run.curve_svg import write_svg
from kit.run.finish_run import OUT
from kit.run.fleet import open_hosts
from kit.run.machine import make_machines
from kit.run.monitor_files import ways_to_look
from kit.run.prepare import job_hosts
from kit.run.record import OPEN, RunRecord, record_of
from kit.run.run_store import RECORD, plain_relative
from kit.run.see_through import hashing_listener
from kit.run.training_log import TRAINER_LOG, read_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox


PLOT = "loss.svg"


@dataclass(frozen=True, slots=True)
class Collected:
    """What came home."""

    job: str
    run_id: str
    state: str
    folder: str
    files: int
    bytes: int
    fetched_files: int
    """The others were here already, and proved right."""
    fetched_bytes: int
    dry_run: bool = False
    plot: str | None = None
    """The curve of a training's loss, drawn from its log."""
    look: tuple[str, ...] = ()
    """Commands that show or sync what its trackers wrote."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A file to bring home."""

    machine: Machine
    source: str
    """Absolute, on the host."""
    root: Path
    path: str
    """Relative to `root`, where it goes."""
    file: File

    @property
    def target(self) -> Path:
        """Where it goes."""
        return self.root / self.path


def collect(
    loaded: LoadedProject,
    job: str,
    out: Path | None,
    toolbox: Toolbox,
    progress: Progress,
    *,
    dry_run: bool = False,
) -> Collected:
    """Bring home the newest run of a job. Run again, it fetches only what is not there yet.

    Raises UnfitError when there is no run, VerificationError for bytes that are not the record's,
    TransferError when a file does not arrive, ConfigError when `out` holds another run.
    """
    names = job_hosts(loaded.project, job)
    with open_hosts(loaded, names, toolbox.connect) as hosts:
        machines = make_machines(hosts, loaded.project.hosts, toolbox)
        plot = None
        answers = {host: _list(machines[host], job, progress) for host in names}
        record = _newest(job, answers)
        folder = out or loaded.folder / "collected" / job / record.run_id
        _check_folder(folder, record)
        fetches = tuple(_fetches(folder, record, machines, answers))
        missing = tuple(fetch for fetch in fetches if not _is_here(fetch))
        if not dry_run:
            _fetch_all(job, missing, progress)
            plot = _draw(folder, record)
    return Collected(
        job=job,
        run_id=record.run_id,
        state=record.state,
        folder=str(folder),
        files=len(fetches),
        bytes=sum(fetch.file.size for fetch in fetches),
        fetched_files=len(missing),
        fetched_bytes=sum(fetch.file.size for fetch in missing),
        dry_run=dry_run,
        plot=plot,
        look=ways_to_look(folder),
    )


def _draw(folder: Path, record: RunRecord) -> str | None:
    """Draw the losses of a training that came home; return the file, None where nothing was logged."""
    log = folder / OUT / TRAINER_LOG
    if record.training is None or not log.is_file():
        return None
    points = read_points(log.read_text(encoding="utf-8", errors="replace").splitlines(), LOSS)
    if not points:
        return None
    write_svg(folder / PLOT, LOSS, (Curve(record.job, record.run_id, record.state, points),))
    return str(folder / PLOT)


def _list(machine: Machine, job: str, progress: Progress) -> dict[str, Any]:
    task = f"list what {job} left on {machine.name}"
    answer = machine.ask("read_run", hashing_listener(task, progress), job=job)
    progress.finish(task)
    return answer


def _newest(job: str, answers: Mapping[str, Mapping[str, Any]]) -> RunRecord:
    """Return rank zero's record of the newest run. Pure."""
    records = [record_of(found["record"], host) for host, found in answers.items() if found["record"]]
    if not records:
        raise UnfitError(f"no run of {job}", where=", ".join(answers), fix=f"kit up {job}")
    newest = max(records, key=lambda record: (record.run_id, record.host == record.rank_zero))
    if newest.state == OPEN:
        raise UnfitError(f"{job} still runs", where=newest.host, fix=f"wait for its end, or kit down {job}")
    return newest


def _fetches(
    folder: Path,
    newest: RunRecord,
    machines: Mapping[str, Machine],
    answers: Mapping[str, Mapping[str, Any]],
) -> Iterator[Fetch]:
    """Yield what belongs to the newest run, each host's record last: where it stands, the rest is whole."""
    for host, found in answers.items():
        if not found["record"] or found["record"]["run_id"] != newest.run_id:
            continue
        for file in _files(found.get("kept", ())):
            path = home_path(file.path, host, newest.rank_zero)
            yield Fetch(machines[host], f"{found['kept_folder']}/{file.path}", folder, path, file)
        for file in sorted(_files(found["files"]), key=lambda file: file.path == RECORD):
            path = home_path(file.path, host, newest.rank_zero)
            yield Fetch(machines[host], f"{found['folder']}/{file.path}", folder, path, file)


def _files(documents: Iterable[Mapping[str, Any]]) -> Iterator[File]:
    return (File(file["path"], file["digest"], file["size"]) for file in documents)


def home_path(path: str, host: str, rank_zero: str) -> str:
    """Return where a file of a run's folder goes at home. Raises VerificationError. Pure.

    Rank zero's folder is the run; what the other hosts have of their own goes under `hosts/NAME`.
    """
    relative = plain_relative(path)
    return relative if host == rank_zero else f"hosts/{host}/{relative}"


def _check_folder(folder: Path, record: RunRecord) -> None:
    path = folder / RECORD
    if not path.exists():
        return
    try:
        there = json.loads(path.read_bytes()).get("run_id")
    except (OSError, ValueError, AttributeError):
        there = None
    if there != record.run_id:
        raise ConfigError(
            f"the folder holds another run ({there})", where=str(folder), fix="name another folder with -o"
        )


def _is_here(fetch: Fetch) -> bool:
    path = fetch.target
    if path.is_symlink() or not path.is_file() or path.stat().st_size != fetch.file.size:
        return False
    return sha256_of_file(path) == fetch.file.blob


def _fetch_all(job: str, fetches: tuple[Fetch, ...], progress: Progress) -> None:
    task = f"collect {job}"
    progress.start(task, sum(fetch.file.size for fetch in fetches))
    for fetch in fetches:
        _fetch(fetch, task, progress)
    progress.finish(task)


def _fetch(fetch: Fetch, task: str, progress: Progress) -> None:
    """Write a file beside its place while it is hashed, and rename it once it is proven."""
    target = fetch.target
    draft = target.with_name(f".{target.name}.part")
    hasher = Hasher()
    with writing(target):
        _make_folder(fetch.root, fetch.path)
        draft.unlink(missing_ok=True)
        # Beside what the job made lie the files it was launched with, and they may hold its secrets.
        mode = 0o666 if fetch.file.path.startswith(f"{OUT}/") else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:

            def take(chunk: bytes) -> None:
                if hasher.size + len(chunk) <= fetch.file.size:
                    file.write(chunk)
                hasher.update(chunk)
                progress.advance(task, len(chunk))

            done = fetch.machine.host.receive(commands.print_file(fetch.source), take)
        if done.status != 0 or hasher.blob != fetch.file.blob:
            draft.unlink()
            raise _not_whole(fetch, done.status, done.stderr, hasher)
        draft.replace(target)
        sync_folder(target.parent)


def _not_whole(fetch: Fetch, status: int, stderr: bytes, hasher: Hasher) -> TransferError | VerificationError:
    where = f"{fetch.machine.name}:{fetch.source}"
    if status != 0:
        why = stderr.decode("utf-8", "replace").strip() or f"status {status}"
        return TransferError(
            "cannot be read", where=where, why=why, fix="the same command again goes on here"
        )
    return VerificationError(
        "the file is not the one that was recorded",
        where=where,
        why=f"{hasher.size} bytes with {hasher.digest}, recorded {fetch.file.size} with {fetch.file.digest}",
        fix="it changed on the host after its run; run the job again",
    )


def _make_folder(root: Path, relative: str) -> None:
    """Make a folder of the run under `root`; what stands there already must be folders, not links."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root
    for part in relative.split("/")[:-1]:
        folder /= part
        if folder.is_symlink():
            raise VerificationError("a link stands where a folder of the run belongs", where=str(folder))
        folder.mkdir(exist_ok=True)
