"""What every part of kit.yaml is made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _check_gpus(value: int | str) -> int | str:
    if isinstance(value, int):
        if value < 0:
            raise ValueError("a count of GPUs cannot be negative")
        return value
    ids = value.split(",")
    if not all(re.fullmatch(r"\d+|GPU-[0-9a-fA-F-]+", gpu) for gpu in ids) or len(set(ids)) != len(ids):
        raise ValueError('give a count (4) or distinct ids ("0,1,4,5")')
    return value


def _check_some(value: int | str) -> int | str:
    if value == 0:
        raise ValueError("a job of a GPU stack needs one at least; left out, it gets as many as it can use")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Gpus = Annotated[int | str, AfterValidator(_check_gpus)]
SomeGpus = Annotated[Gpus, AfterValidator(_check_some)]


class Section(BaseModel):
    """A part of kit.yaml: immutable, and without keys that kit does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
