"""Range of one parameter."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from handssl.config import Config


class Interval(Config):
    """A closed range of one parameter, `low < high`."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, got {self.low} and {self.high}")
        return self

    @property
    def width(self) -> float:
        """Return high - low, the divisor of this parameter's relative targets."""
        return self.high - self.low


class LinearInterval(Interval):
    """Range of a parameter that is not circular, although its transformation usually has it so."""
