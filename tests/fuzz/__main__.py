"""`python -m tests.fuzz [--seconds N] [TARGET …]`: each target in a process of its own, N seconds in all.

Needs atheris, which is no part of kit's own tools: `make fuzz` installs it. What it finds is put into
`build/fuzz/<target>`; once mended, it goes into `tests/hostile/corpus/<target>`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY / "tests" / "hostile" / "corpus"
BUILD = REPOSITORY / "build" / "fuzz"
LIMITS = ("-max_len=65536", "-timeout=60", "-rss_limit_mb=2048")
"""Bytes of an input; seconds and MB for one."""


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until time is up or a defect is found."""
    import atheris  # type: ignore[import-not-found, unused-ignore]

    # What reads is instrumented as it is imported: kit, and what it reads with.
    with atheris.instrument_imports(include=["kit", "tarfile", "yaml"]):
        from tests.fuzz.targets import run

        run(name, b"")  # What is imported late, too.
    atheris.Setup([sys.argv[0], *arguments], lambda data: run(name, data))
    atheris.Fuzz()


def fuzz_all(names: list[str], seconds: int) -> int:
    """Fuzz one target after another; return how many have a defect."""
    from tests.fuzz.seeds import seeds

    given = seeds()
    failed = 0
    for name in names:
        work = BUILD / name
        work.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(given.get(name, [])):
            (work / f"seed-{number}").write_bytes(data)
        folders = [str(work), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
        limits = (f"-max_total_time={seconds // len(names)}", *LIMITS, f"-artifact_prefix={work}/found-")
        argv = [sys.executable, "-m", "tests.fuzz", "--one", name, *limits, *folders]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=REPOSITORY)
        lines = done.stderr.splitlines()
        last = next((line for line in reversed(lines) if line.startswith(("Done ", "#"))), "nothing ran")
        print(f"{name}: {'DEFECT' if done.returncode else 'ok'}; {last}", flush=True)
        if done.returncode:
            failed += 1
            print("\n".join(_failure(lines)), flush=True)
    return failed


def _failure(lines: list[str]) -> list[str]:
    """Return what a process said of a defect: the exception, and where the input lies."""
    start = next((number for number, line in enumerate(lines) if "Uncaught Python" in line), len(lines))
    return lines[start : start + 30] + [line for line in lines if "Test unit written" in line]


def main() -> None:
    """Parse the words and fuzz."""
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS])
    words = parser.parse_args()
    sys.exit(1 if fuzz_all(words.targets or list(TARGETS), words.seconds) else 0)


if __name__ == "__main__":
    main()
