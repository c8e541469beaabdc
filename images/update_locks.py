"""Makes <image>/<stack>.in and .lock anew from pyproject.toml. For developers, in a checkout.

python images/update_locks.py [IMAGE/STACK ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parent
sys.path[0] = str(IMAGES.parent)  # images/kit would pass for the package kit

from kit.errors import KitError  # noqa: E402
from kit.images.check_packages import check_packages  # noqa: E402
from kit.images.extras import requirements_of  # noqa: E402
from kit.images.lock_packages import Resolver  # noqa: E402
from kit.images.packages import PENDING, PackageLock  # noqa: E402
from kit.images.stacks import BuiltImage, load_stacks  # noqa: E402
from kit.images.uv_subprocess import UvSubprocess  # noqa: E402

HEADER = "# Every package of this image, hash-locked. images/update_locks.py makes it from {name}.in.\n"
WHY_PENDING = "  (hashes are in PyTorch's own {backend} index; `kit lock` adds them online)"


def lock_text(lock: PackageLock, name: str, backend: str) -> str:
    """Return what goes into the .lock file."""
    reason = WHY_PENDING.format(backend=backend)
    pending = "".join(f"{PENDING}{requirement}{reason}\n" for requirement in lock.pending)
    return HEADER.format(name=name) + pending + "".join(pin.requirement for pin in lock.pins)


def main() -> None:
    """Write the locks that are named, or all."""
    wanted = sys.argv[1:]
    project = (IMAGES.parent / "pyproject.toml").read_text(encoding="utf-8")
    for stack in load_stacks():
        for rule in stack.images:
            place = f"{rule.name}/{stack.name}"
            if not isinstance(rule, BuiltImage) or (wanted and place not in wanted):
                continue
            requirements = "".join(f"{line}\n" for line in requirements_of(project, rule.extra))
            resolver = Resolver(rule, stack, UvSubprocess())
            resolve = resolver.resolve_without_index if rule.unreachable else resolver.resolve
            lock = resolve(requirements)
            check_packages(rule.name, stack, lock)
            (IMAGES / f"{place}.in").write_text(requirements, encoding="utf-8")
            text = lock_text(lock, stack.name, stack.torch_backend)
            (IMAGES / f"{place}.lock").write_text(text, encoding="utf-8")
            print(f"{place}: {len(lock.pins)} packages, pending: {', '.join(lock.pending) or 'none'}")


if __name__ == "__main__":
    try:
        main()
    except KitError as error:
        sys.exit(str(error))
