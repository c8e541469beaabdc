"""Proves rows, and writes the page out of what became of them.

python -m tests.jobs [--page docs/measurements/jobs.md] [--cu126] [--list] [WORDS...]

Without WORDS every row; with some, those whose name holds one of them. What became of each is kept in
build/jobs/outcomes.json, so that several runs make one page; it names the rows that were never run. Hosts are
raised when a chosen row needs them.

With --cu126 what is rendered for GPUs is parsed inside images of that stack, too. Those that the chosen rows
need (of train, serve and serve-sglang) are built one after the other, and each is removed after its rows
unless KIT_KEEP_IMAGES is set: 10 minutes and 15 GB for each while it is built. DOCKER_HOST names an engine
for rows without hosts; left out, it is one of the lab's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cu126.stand_in import built_image, stand_in_builder
from tests.e2e.journey import REPOSITORY, StepFailedError
from tests.jobs.page import page
from tests.jobs.row import RAN, Outcome, Row
from tests.jobs.scene import Scene, hostless_scene, jobs_scene
from tests.jobs.table import ROWS
from tests.lab import LabError, LabUnavailableError, online_engine, stop_online_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEPT = REPOSITORY / "build" / "jobs" / "outcomes.json"
SKIPPED = 77
"""Exit status of a run that this machine cannot do (automake's word for it)."""


def prove(row: Row, scene: Scene) -> Outcome:
    """Return what became of a row; a failure is an outcome, too."""
    started = time.monotonic()
    try:
        said, proven = row.prove(scene), True
    except (AssertionError, StepFailedError, LabError) as error:
        said, proven = f"{type(error).__name__}: {str(error)[-2000:]}", False
    day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    return Outcome(row.kind, row.options, row.way, said, time.monotonic() - started, day, proven)


def kept() -> dict[str, Outcome]:
    """Return name → what became of a row the last time."""
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    return {name: Outcome(**outcome) for name, outcome in found.items()}


def prove_all(rows: Sequence[Row], scene: Scene) -> list[Row]:
    """Prove rows one after the other, keep what became of each, and return those that failed."""
    failed = []
    for row in rows:
        outcome = prove(row, scene)
        print(f"{'ok    ' if outcome.proven else 'FAILED'} {row.name}: {outcome.said}", flush=True)
        failed += [] if outcome.proven else [row]
        outcomes = {**kept(), row.name: outcome}
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {name: asdict(each) for name, each in outcomes.items()}, indent=1, ensure_ascii=False
        )
        KEPT.write_text(text, encoding="utf-8")
    return failed


def _prove_inside_images(rows: Sequence[Row], scene: Scene) -> list[Row]:
    """Prove rows, each with the image built that it names, if any; return those that failed."""
    os.environ["DOCKER_HOST"] = scene.journey.environment["DOCKER_HOST"]
    failed = []
    for image in dict.fromkeys(row.image for row in rows):
        chosen = [row for row in rows if row.image == image]
        if not image:
            failed += prove_all(chosen, scene)
            continue
        with built_image(image, stand_in_builder()) as image_id:
            failed += prove_all(chosen, replace(scene, gpu_images={image: image_id}))
    return failed


@contextmanager
def _scene_for(rows: Sequence[Row], *, engine: bool) -> Iterator[Scene]:
    """Yield a scene, without hosts when no row needs them; it has an engine, if asked for, in either case."""
    if any(row.way == RAN for row in rows):
        with jobs_scene() as scene:
            yield scene
        return
    own = engine and "DOCKER_HOST" not in os.environ
    chosen = {**os.environ, **({"DOCKER_HOST": online_engine()} if own else {})}
    try:
        with tempfile.TemporaryDirectory(prefix="kit-rows-") as folder:
            yield hostless_scene(Path(folder), chosen)
    finally:
        if own:
            stop_online_engine()


def main() -> int:
    """Return 0 when every chosen row was proven."""
    parser = argparse.ArgumentParser(prog="python -m tests.jobs")
    parser.add_argument("words", nargs="*", help="rows whose name holds one of these; all without")
    parser.add_argument("--page", type=Path, help="write the page here")
    parser.add_argument("--cu126", action="store_true", help="also parse inside that stack's built images")
    parser.add_argument("--list", action="store_true", help="list the rows' names, and prove none")
    chosen = parser.parse_args()
    rows = [row for row in ROWS if not chosen.words or any(word in row.name for word in chosen.words)]
    if chosen.list:
        print(*(row.name for row in rows), sep="\n")
        return 0
    try:
        with _scene_for(rows, engine=chosen.cu126) as scene:
            failed = (_prove_inside_images if chosen.cu126 else prove_all)(rows, scene)
    except LabUnavailableError as error:
        print(f"make test-jobs: skipped: {error}", file=sys.stderr)
        return SKIPPED
    if chosen.page:
        found = kept()
        names = [row.name for row in ROWS]
        missing = [name for name in names if name not in found]
        text = page((found[name] for name in names if name in found), missing)
        chosen.page.write_text(text, encoding="utf-8")
    print(f"{len(rows) - len(failed)} of {len(rows)} rows proven", *(row.name for row in failed), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
