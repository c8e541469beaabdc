"""The inventories of layers, kept beside the pack cache by diffID, so that no layer is read twice."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.sbom.records_json import dump_records, parse_records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kit.sbom.layer_records import LayerRecords


@dataclass(frozen=True, slots=True)
class Inventories:
    """A folder of layers' records. Losing it costs reading the layers once more."""

    folder: Path
    _known: dict[str, LayerRecords] = field(default_factory=dict)

    def _file(self, diff_id: str) -> Path:
        return self.folder / f"{diff_id.removeprefix('sha256:')}.json"

    def get(self, diff_id: str) -> LayerRecords | None:
        """Return a layer's records, or None when it must be read for them."""
        if diff_id not in self._known:
            try:
                found = parse_records(self._file(diff_id).read_bytes())
            except OSError:
                return None
            if found is None:
                return None
            self._known[diff_id] = found
        return self._known[diff_id]

    def keep(self, diff_id: str, records: LayerRecords) -> None:
        """Keep a layer's records. A disk that refuses them costs time later, nothing else."""
        self._known[diff_id] = records
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self._file(diff_id).with_suffix(".new")
            temporary.write_bytes(dump_records(records))
            temporary.replace(self._file(diff_id))

    def keep_only(self, diff_ids: Iterable[str]) -> None:
        """Remove the records of all other layers."""
        names = {self._file(diff_id).name for diff_id in diff_ids}
        for path in self.folder.glob("*"):
            if path.name not in names:
                with suppress(OSError):
                    path.unlink()
