"""What an image must prove while it is built. Used by the smoke.py of each image; standard library only.

A proof that fails ends the build with what is wrong and what to do.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

SITE = Path(sysconfig.get_paths()["purelib"])
_OLD_STRING = re.compile(r"Ss(?=$|[A-Z_])")  # std::string as GCC wrote it before CXX11_ABI
_NEW_STRING = "__cxx11"


class ProofError(Exception):
    """The image is not what its lock says, or does not work."""


def canonical(name: str) -> str:
    """Return a distribution's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def prove_versions(packages: dict[str, str], others: tuple[str, ...] = ()) -> None:
    """Every locked package is there at its version, and nothing else but `others` is."""
    found = {canonical(dist.metadata["Name"]): dist.version for dist in importlib.metadata.distributions()}
    wrong = [
        f"{name}: locked {version}, found {found.get(name, 'none')}"
        for name, version in packages.items()
        if found.get(name) != version
    ]
    wrong += [f"{name}: not in the lock" for name in found if name not in packages and name not in others]
    if wrong:
        raise ProofError("the image is not what its lock says:\n  " + "\n  ".join(sorted(wrong)))


def prove_requirements(dropped: tuple[str, ...]) -> None:
    """Every package finds what it requires, but for what the stack drops on purpose."""
    from packaging.requirements import Requirement

    versions = {canonical(dist.metadata["Name"]): dist.version for dist in importlib.metadata.distributions()}
    wrong = []
    for dist in importlib.metadata.distributions():
        for line in dist.requires or ():
            need = Requirement(line)
            name = canonical(need.name)
            if name in dropped or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            if name not in versions or not need.specifier.contains(versions[name], prereleases=True):
                wrong.append(f"{dist.metadata['Name']} requires {line}; found {versions.get(name, 'none')}")
    if wrong:
        raise ProofError("packages do not go together:\n  " + "\n  ".join(sorted(wrong)))


def _symbols(library: Path, which: str) -> set[str]:
    printed = subprocess.run(
        ("nm", "-D", which, "--format=posix", str(library)), capture_output=True, text=True, check=True
    ).stdout
    return {line.split(" ", 1)[0].split("@", 1)[0] for line in printed.splitlines()}


def missing_symbols(extension: Path, torch_libraries: Path, namespace: str = "3c10") -> list[str]:
    """Return the C++ symbols of a namespace that an extension needs and torch's libraries lack.

    The names are GCC's mangled ones; `c10::cuda` is left out, since a torch for CPUs has none of it.
    """
    needed = {
        symbol
        for symbol in _symbols(extension, "--undefined-only")
        if re.match(rf"_ZN?K?{namespace}", symbol) and not re.match(r"_ZN?K?3c104cuda", symbol)
    }
    given: set[str] = set()
    for library in sorted(torch_libraries.glob("lib*.so")):
        given |= _symbols(library, "--defined-only")
    return sorted(needed - given)


def explain_missing(extension: str, missing: list[str], torch_version: str) -> str:
    """Return why an extension does not fit a torch, in words."""
    text = f"{extension} does not fit torch {torch_version}, which lacks {len(missing)} of its symbols, e.g. {missing[0]}."
    if any(_OLD_STRING.search(symbol) for symbol in missing):
        text += (
            "\n  It was compiled for the old C++ ABI (_GLIBCXX_USE_CXX11_ABI=0); this torch has the new one."
            "\n  Use a torch with the old ABI (2.6.0 without +cu126), or compile the extension against this one."
        )
    elif any(_NEW_STRING in symbol for symbol in missing):
        text += (
            "\n  It was compiled for the new C++ ABI (_GLIBCXX_USE_CXX11_ABI=1); this torch has the old one."
            "\n  Use a torch with the new ABI, or compile the extension against this one."
        )
    else:
        text += "\n  It was compiled for another release of torch; pin the two that go together."
    return text


def prove_symbols(*patterns: str, site: Path = SITE, torch: Path = SITE / "torch") -> None:
    """The extensions that match fit the torch beside them. At least one must match."""
    extensions = [path for pattern in patterns for path in sorted(site.glob(pattern))]
    if not extensions:
        raise ProofError(f"no extension matches {', '.join(patterns)} in {site}")
    version = re.search(r"__version__ = '([^']+)'", (torch / "version.py").read_text(encoding="utf-8"))
    for extension in extensions:
        missing = missing_symbols(extension, torch / "lib")
        if missing:
            name = extension.relative_to(site).as_posix()
            raise ProofError(explain_missing(name, missing, version[1] if version else "?"))


def driver_stub(folder: Path, *extensions: Path) -> Path:
    """Make a libcuda.so.1 that lets extensions load where there is no driver; return its folder."""
    wanted = {
        symbol for extension in extensions for symbol in _symbols(extension, "--undefined-only")
        if re.match(r"cu[A-Z]", symbol) and not re.match(r"cu(blas|dnn|fft|rand|solver|sparse|da)", symbol)
    }
    source = folder / "stub.c"
    source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in sorted(wanted)))
    library = folder / "libcuda.so.1"
    subprocess.run(
        ("gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-Wl,-soname,libcuda.so.1"), check=True
    )
    return folder


def prove_imports(*modules: str, library_path: Path | None = None) -> None:
    """The modules can be imported, in this order, by a new process."""
    env = dict(os.environ)
    if library_path:
        env["LD_LIBRARY_PATH"] = str(library_path)
    lines = ["import importlib"]
    for module in modules:
        lines.append(f"importlib.import_module({module!r})")
    done = subprocess.run(
        (sys.executable, "-X", "faulthandler", "-c", "\n".join(lines)), env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n  ".join(done.stderr.strip().splitlines()[-40:])
        raise ProofError(f"cannot import {', '.join(modules)} (status {done.returncode}):\n  {last}")


def prove_command(*argv: str) -> None:
    """The command runs."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise ProofError(f"{' '.join(argv)} ends with {done.returncode}:\n  {last}")


def expected() -> dict[str, object]:
    """Return what kit wrote down about this image when it was built."""
    loaded: dict[str, object] = json.loads((Path(__file__).parent / "expected.json").read_text(encoding="utf-8"))
    return loaded
