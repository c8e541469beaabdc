"""What every part of kit.yaml is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of kit.yaml: immutable, and without keys that kit does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
