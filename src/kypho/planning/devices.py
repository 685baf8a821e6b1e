"""The needles and cannulas a plan may use."""

from __future__ import annotations

from dataclasses import dataclass

from kypho.errors import SettingsError
from kypho.evidence import record

__all__ = ["DEVICES", "Device", "device", "largest_first"]

NAMES = ("pkp-cannula", "8G", "10G", "11G", "13G")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A needle or working cannula.

    Attributes:
        name: name in the catalogue.
        outer_diameter_mm: outer diameter.
        confirmed: False where the diameter was not read in a source; outputs say so.
        evidence: id of the record.
    """

    name: str
    outer_diameter_mm: float
    confirmed: bool
    evidence: str

    @property
    def radius_mm(self) -> float:
        """Half the outer diameter."""
        return self.outer_diameter_mm / 2


def _from_record(name: str) -> Device:
    key = f"device.{name}.outer_diameter_mm"
    entry = record(key)
    return Device(name=name, outer_diameter_mm=float(entry.value), confirmed=entry.confirmed, evidence=key)  # type: ignore[arg-type]


DEVICES: tuple[Device, ...] = tuple(_from_record(name) for name in NAMES)
"""The catalogue."""


def device(name: str) -> Device:
    """The device of this name.

    Raises:
        SettingsError: no such device.
    """
    for entry in DEVICES:
        if entry.name.lower() == name.lower():
            return entry
    known = ", ".join(("auto", *NAMES))
    raise SettingsError(f"unknown device {name!r}; choose one of {known}")


def largest_first(name: str) -> tuple[Device, ...]:
    """The devices to try, largest first: the catalogue for "auto", else the named one alone."""
    if name != "auto":
        return (device(name),)
    return tuple(sorted(DEVICES, key=lambda entry: -entry.outer_diameter_mm))
