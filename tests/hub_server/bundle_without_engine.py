"""`kit bundle` in the folder it is started in, with images that no engine has to build."""

from __future__ import annotations

import sys
from pathlib import Path

from kit.bundle.engine import ImageSource
from kit.cli.failure import report_failure, report_interrupt
from kit.cli.output import shown_progress
from kit.errors import KitError
from kit.hub.fetch_tree import fetch_tree
from kit.project.load import load_project
from kit.workflow.bundle_places import Wanted
from kit.workflow.make_bundle import BundleTools, make_bundle
from tests.unit.bundle.fake_engine import FakeEngine, tar_of


def main() -> int:
    engine: ImageSource = FakeEngine()
    image = engine.add(tar_of({"file": b"image"}))  # type: ignore[attr-defined]
    tools = BundleTools(lambda *_: image, fetch_tree, engine)
    try:
        with shown_progress() as progress:
            make_bundle(load_project(Path("kit.yaml")), Wanted(), tools, progress)
    except KitError as error:
        return report_failure(error, as_json=False)
    except KeyboardInterrupt as interrupt:
        return report_interrupt(interrupt, as_json=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
