"""What every table of a config file has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of a config file: unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)
