"""Makes the bytecode that imports left behind independent of file times and of the order of imports.

Python writes .pyc files that hold their source's time; an image whose times are fixed later would
compile every module anew at each start. Here each becomes an unchecked hash-based one (PEP 552).
Loading and writing the code again gives the same bytes whatever had been imported before. Bytecode of
a source that a later layer replaced is compiled anew: nothing would ever notice that it is stale.
"""

from __future__ import annotations

import importlib.util
import marshal
import py_compile
import sys
import sysconfig
from pathlib import Path

_HEADER_BYTES = 16
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def is_stale(data: bytes, source: Path) -> bool:
    """Tell whether bytecode, whole with its header, was made of another source than the one that is there."""
    if data[4] & _UNCHECKED_HASH[0]:  # checked or not: Debian's tools check when they are told the day
        return data[8:_HEADER_BYTES] != importlib.util.source_hash(source.read_bytes())
    status = source.stat()
    stamp = (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return stamp != (int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little"))


def keep(cached: Path) -> bool:
    """Rewrite one .pyc file; False when it is right, has no source or belongs to another Python."""
    data = cached.read_bytes()
    try:
        source = Path(importlib.util.source_from_cache(str(cached)))
    except ValueError:
        return False
    if data[:4] != importlib.util.MAGIC_NUMBER or not source.is_file():
        return False
    if is_stale(data, source):
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(cached), doraise=True, invalidation_mode=mode)
        return True
    if data[4:8] == _UNCHECKED_HASH:
        return False
    code = marshal.dumps(marshal.loads(data[_HEADER_BYTES:]))
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source.read_bytes())
    cached.write_bytes(header + code)
    return True


def main() -> None:
    """Rewrite all bytecode of this Python and of its packages."""
    paths = sysconfig.get_paths()
    folders = [Path(paths["stdlib"]), Path(paths["purelib"]), *(Path(word) for word in sys.argv[1:])]
    cached = sorted({path for folder in folders for path in folder.rglob("__pycache__/*.pyc")})
    kept = sum(keep(path) for path in cached)
    print(f"bytecode: {kept} of {len(cached)} files rewritten")


if __name__ == "__main__":
    main()
