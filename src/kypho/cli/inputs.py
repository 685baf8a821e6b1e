"""What the commands on a CT read first: the image, its labels, and the level that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kypho.anatomy import Labels
    from kypho.case.assessment.run import EarlierCase
    from kypho.case.mri import MriCase
    from kypho.cli.progress import Steps
    from kypho.formats import CtInput, LabelsInput

__all__ = [
    "READING",
    "chosen_level",
    "labels_on",
    "levels_chosen",
    "read_ct_and_labels",
    "read_earlier",
    "read_mri",
]

READING = ("read the CT", "read the labels")
"""The steps of `read_ct_and_labels`."""


def read_ct_and_labels(
    ct: Path,
    labels: Path | None,
    steps: Steps,
    *,
    scheme: str,
    level: str | None = None,
    series: str | None = None,
) -> tuple[CtInput, LabelsInput]:
    """Read a CT and the labels on it, as the two timed steps `READING`.

    Raises:
        InputError: a file cannot be read, or several series are there and none was chosen.
        LabelsNeededError: no labels were given and no segmenter is installed.
    """
    from kypho.formats import read_ct

    with steps.step("read the CT"):
        image = read_ct(ct, series=series)
    with steps.step("read the labels"):
        found = labels_on(image, labels, scheme=scheme, level=level)
    return image, found


def labels_on(image: CtInput, labels: Path | None, *, scheme: str, level: str | None = None) -> LabelsInput:
    """The given labels of a CT, or those of an installed segmenter; `level` names a mask without names.

    Raises:
        LabelsNeededError: no labels were given and no segmenter is installed.
    """
    from kypho.formats import read_labels
    from kypho.formats.segmenters import find_labels

    if labels is None:
        return find_labels(image.volume)
    return read_labels(labels, scheme=scheme, ct=image.volume, level=level)


def chosen_level(labels: Labels, level: str | None) -> str:
    """The one level that is meant.

    Raises:
        ChoiceNeededError: none was chosen; the message lists them.
        LevelError: the level is missing.
    """
    from kypho.errors import ChoiceNeededError

    if level is None:
        found = ", ".join(labels.levels()) or "none"
        raise ChoiceNeededError(f"levels found: {found}. Choose one with --level")
    wanted = level.upper()
    labels.require_level(wanted)
    return wanted


def levels_chosen(labels: Labels, level: str | None) -> tuple[str, ...]:
    """As `chosen_level`, with 'all' for every level there is.

    Raises:
        ChoiceNeededError: none was chosen; the message lists them.
        LevelError: the level, or every level, is missing.
    """
    from kypho.errors import ChoiceNeededError, LevelError

    present = tuple(labels.levels())
    if level is None:
        found = ", ".join(present) or "none"
        raise ChoiceNeededError(f"levels found: {found}. Choose one with --level, or --level all")
    if level.lower() != "all":
        return (chosen_level(labels, level),)
    if not present:
        raise LevelError("the labels hold no vertebra; check that it is the right label file")
    return present


def read_earlier(
    ct: Path | None, labels: Path | None, *, scheme: str, level: str | None
) -> EarlierCase | None:
    """An earlier CT and its labels; None if neither is given.

    Raises:
        SettingsError: labels without a CT.
        LabelsNeededError: no labels were given and no segmenter is installed.
        InputError: a file cannot be used.
    """
    from kypho.errors import LabelsNeededError, SettingsError

    if ct is None:
        if labels is not None:
            raise SettingsError("--earlier-labels needs --earlier, the CT that they lie on")
        return None
    from kypho.case.assessment.run import EarlierCase
    from kypho.formats import read_ct

    image = read_ct(ct)
    try:
        found = labels_on(image, labels, scheme=scheme, level=level)
    except LabelsNeededError as error:
        raise LabelsNeededError(
            "no labels of the earlier CT given and no segmenter is installed; give them with --earlier-labels"
        ) from error
    return EarlierCase(ct=image, labels=found)


def read_mri(
    mri: Path | None, labels: Path | None, *, scheme: str, series: str | None, required: bool
) -> MriCase | None:
    """The MR and its labels; None if neither is given.

    Raises:
        LabelsNeededError: one without the other.
        ModalityError: what was given is no MR.
        InputError: a file cannot be used.
    """
    from kypho.errors import LabelsNeededError, SettingsError

    if mri is None and labels is None:
        if required:
            raise SettingsError("--require-mri needs --mri and --mri-labels")
        return None
    if mri is None or labels is None:
        raise LabelsNeededError(
            "--mri and --mri-labels go together: the image, and vertebrae with cord and canal on it"
        )
    from kypho.case.mri import MriCase
    from kypho.formats.mr import read_mr, read_mr_labels

    image = read_mr(mri, series=series)
    found = read_mr_labels(labels, scheme=scheme, mr=image.volume)
    return MriCase(mr=image, labels=found, required=required)
