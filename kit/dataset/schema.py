"""What every record of one file must be made of: learnt from the first ones, as the datasets library does it.

It gives each column one type, of all records of a JSON array, or of the first 10 MiB of a file of lines;
a column that comes later, or another type, ends a training while it loads (datasets 3.6.0,
packaged_modules/json/json.py and `cast_table_to_schema`; pyarrow's JSON reader).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.dataset.form import Form

LEARNT_BYTES = 10 << 20
"""How much of a file of lines its columns are taken from."""
NOTHING = "null"
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
)
_FLAGS = ("kto_tag",)
_PICTURES = ("images", "videos", "audios")


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value: `text`, `number`, `true or false`, `list`, `object` or `null`."""
    return next((kind for of, kind in _KINDS if isinstance(value, of)), NOTHING)


class Schema:
    """The columns of one file, each with its kind, and a decoder that takes nothing else."""

    def __init__(self, form: Form, kinds: Mapping[str, str]) -> None:
        self.form = form
        self.kinds = dict(kinds)
        """Column → kind, as the first value that is not null has it."""
        self._decoder: Any = None

    def learn(self, record: Mapping[str, Any]) -> bool:
        """Take in columns that are new, or had only nulls; tell whether there were any."""
        fresh = {
            name: kind_of(value)
            for name, value in record.items()
            if name not in self.kinds or (self.kinds[name] == NOTHING and value is not None)
        }
        self.kinds.update(fresh)
        if fresh:
            self._decoder = None
        return bool(fresh)

    @property
    def decoder(self) -> Any:
        """A msgspec decoder of one record: what LLaMA-Factory reads under its own names there."""
        if self._decoder is None:
            self._decoder = _decoder(self.form, self.kinds)
        return self._decoder


def _decoder(form: Form, kinds: Mapping[str, str]) -> Any:
    import msgspec

    read = {column: name for name, column in form.columns}
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    # A column that is read is there, if only to be missing from every record.
    for index, column in enumerate(dict.fromkeys((*read, *kinds))):
        field = read.get(column, f"other_{index}")
        names[field] = column
        of = _read_type(form, field) if column in read else _other_type(kinds[column])
        fields.append((field, of | None | msgspec.UnsetType, msgspec.UNSET))
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(record)


def _read_type(form: Form, name: str) -> Any:
    import msgspec

    if name in _FLAGS:
        return bool
    if name in _PICTURES:
        return str | list[str]
    if name == "history":
        return list[tuple[str, str]]
    is_turn = name == "messages" or (form.tags and name in ("chosen", "rejected"))
    if not is_turn:
        return str
    tags = {"role": form.tag["role_tag"], "content": form.tag["content_tag"]}
    turn = msgspec.defstruct("Turn", [("role", str), ("content", str)], rename=tags, gc=False)
    return list[turn] if name == "messages" else turn  # type: ignore[valid-type]


def _other_type(kind: str) -> Any:
    import msgspec

    kinds: dict[str, Any] = {
        "text": str,
        "number": int | float,
        "true or false": bool,
        "list": list[msgspec.Raw],
        "object": dict[str, msgspec.Raw],
        NOTHING: type(None),
    }
    return kinds[kind]
