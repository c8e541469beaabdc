"""Run while kit's own image is built: every module imports, and the command starts."""

from __future__ import annotations

import pkgutil
import sys

from prove import ProofError, expected, prove_command, prove_files, prove_imports, prove_versions

import kit

PACKAGES = (
    "docker",
    "fabric",
    "jinja2",
    "msgspec",
    "paramiko",
    "pydantic",
    "rich",
    "typer",
    "yaml",
    "zstandard",
)


def main() -> None:
    """Raise ProofError unless the image works."""
    facts = expected()
    prove_versions(facts["packages"], ("airgap-kit",))
    prove_files()
    modules = [module.name for module in pkgutil.walk_packages(kit.__path__, "kit.")]
    prove_imports(*PACKAGES, *modules)
    prove_command("kit", "--help")
    print(f"kit {facts['stack']}: proven, {len(modules)} modules, {len(facts['packages'])} packages")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
