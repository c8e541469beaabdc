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
    """Check that every locked package is there at its version, and nothing else but `others`."""
    found = {canonical(dist.metadata["Name"]): dist.version for dist in importlib.metadata.distributions()}
    wrong = [
        f"{name}: locked {version}, found {found.get(name, 'none')}"
        for name, version in packages.items()
        if found.get(name) != version
    ]
    wrong += [f"{name}: not in the lock" for name in found if name not in packages and name not in others]
    if wrong:
        raise ProofError("the image is not what its lock says:\n  " + "\n  ".join(sorted(wrong)))


def prove_files() -> None:
    """Check that every file is there which a package lists as its own."""
    missing = [
        str(path)
        for dist in importlib.metadata.distributions()
        for path in dist.files or ()
        # What stands beside the modules (share/, etc/) is listed relative to them, and lies elsewhere.
        if not os.path.lexists(path.locate()) and not os.path.lexists(Path(sys.prefix, path))
    ]
    if missing:
        shown = "\n  ".join(sorted(missing)[:20])
        raise ProofError(f"{len(missing)} files of packages are missing:\n  {shown}")


def prove_requirements(dropped: tuple[str, ...]) -> None:
    """Check that every package finds what it requires, but for what the stack drops on purpose."""
    from packaging.requirements import InvalidRequirement, Requirement

    versions = {canonical(dist.metadata["Name"]): dist.version for dist in importlib.metadata.distributions()}
    wrong = []
    for dist in importlib.metadata.distributions():
        for line in dist.requires or ():
            try:
                need = Requirement(line)
            except InvalidRequirement:
                continue  # old packages write what no installer reads any more
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


def missing_symbols(extension: Path, given: set[str], namespace: str = "3c10") -> list[str]:
    """Return the C++ symbols of a namespace that an extension needs and `given` lacks, sorted.

    The names are GCC's mangled ones; `c10::cuda` is left out, since a torch for CPUs has none of it.
    """
    needed = {
        symbol
        for symbol in _symbols(extension, "--undefined-only")
        if re.match(rf"_ZN?K?{namespace}", symbol) and not re.match(r"_ZN?K?3c104cuda", symbol)
    }
    return sorted(needed - given)


def other_abi(missing: list[str], given: set[str]) -> str | None:
    """Return a symbol that is there but for its kind of std::string: compiled for the other C++ ABI."""
    for symbol in missing:
        old = _OLD_STRING.search(symbol)
        stem = symbol[: old.start()] if old else symbol.partition("NSt7" + _NEW_STRING)[0]
        wanted = _NEW_STRING if old else "Ss"
        if stem != symbol and any(name.startswith(stem) and wanted in name[len(stem) :] for name in given):
            return symbol
    return None


def explain_missing(extension: str, missing: list[str], given: set[str], torch_version: str) -> str:
    """Return why an extension does not fit a torch, in words."""
    symbol = other_abi(missing, given)
    text = f"{extension} does not fit torch {torch_version}, which lacks {symbol or missing[0]}"
    if symbol is None:
        return f"{text}.\n  It was compiled for another release of torch; pin the two that go together."
    ours, theirs = ("new", "old") if _NEW_STRING in symbol else ("old", "new")
    advice = "2.6.0 without +cu126 has the old one" if ours == "old" else "2.6.0+cu126 has the new one"
    return (
        f"{text}.\n  It was compiled for the {ours} C++ ABI; this torch has the {theirs} one"
        f" (_GLIBCXX_USE_CXX11_ABI={int(theirs == 'new')})."
        f"\n  Pin a torch with the {ours} ABI ({advice}), or compile the extension against this one."
    )


def prove_symbols(*patterns: str, site: Path = SITE, torch: Path = SITE / "torch") -> None:
    """Check that the extensions that match (one at least) fit the torch beside them."""
    extensions = [path for pattern in patterns for path in sorted(site.glob(pattern))]
    if not extensions:
        raise ProofError(f"no extension matches {', '.join(patterns)} in {site}")
    version = re.search(r"__version__ = '([^']+)'", (torch / "version.py").read_text(encoding="utf-8"))
    libraries = sorted((torch / "lib").glob("lib*.so"))
    given: set[str] = set().union(*(_symbols(library, "--defined-only") for library in libraries))
    for extension in extensions:
        missing = missing_symbols(extension, given)
        if missing:
            name = extension.relative_to(site).as_posix()
            raise ProofError(explain_missing(name, missing, given, version[1] if version else "?"))


def driver_stub(folder: Path, *extensions: Path) -> Path:
    """Make a libcuda.so.1 that lets extensions load where there is no driver; return its folder."""
    wanted = {
        symbol
        for extension in extensions
        for symbol in _symbols(extension, "--undefined-only")
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
    """Check that a new process can import the modules, in this order."""
    env = dict(os.environ)
    if library_path:
        env["LD_LIBRARY_PATH"] = str(library_path)
    code = "\n".join(("import importlib", *(f"importlib.import_module({module!r})" for module in modules)))
    argv = (sys.executable, "-X", "faulthandler", "-c", code)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n  ".join(done.stderr.strip().splitlines()[-40:])
        raise ProofError(f"cannot import {', '.join(modules)} (status {done.returncode}):\n  {last}")


def prove_command(*argv: str) -> None:
    """Check that the command runs."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise ProofError(f"{' '.join(argv)} ends with {done.returncode}:\n  {last}")


def expected() -> dict[str, object]:
    """Return what kit wrote down about this image when it was built."""
    written = (Path(__file__).parent / "expected.json").read_text(encoding="utf-8")
    facts: dict[str, object] = json.loads(written)
    return facts
