"""The exception tree. Each class refines a builtin and carries the exit code of the command line.

KyphoError
├── ChoiceNeededError (LookupError)         3   several series or levels; the message lists them
├── InputError (ValueError)                10   any input that cannot be used
│   ├── UnreadableFileError                11   not an image, truncated, empty
│   ├── MissingSlicesError                 12   a gap in the stack
│   ├── DuplicateSlicesError               13   two slices at one position
│   ├── UnevenSpacingError                 14   slice steps differ
│   ├── GantryTiltError                    15   slices sheared against each other
│   ├── ModalityError                      16   not a CT
│   ├── CompressionError                   17   no decoder for the transfer syntax
│   ├── NotFiniteError                     18   NaN or infinity in the image
│   ├── ArchiveError                       19   unreadable or unsafe zip
│   ├── GeometryError                      20   sheared, singular or missing orientation
│   │   └── GridMismatchError              21   two grids that must agree do not
│   ├── LabelsError                        22   empty labels, unknown scheme
│   │   ├── FrameOfReferenceError          23   labels belong to another patient or scan
│   │   └── LabelsNeededError              24   no labels given and no segmenter found
│   ├── LevelError                         25   the level is not in the labels
│   │   └── LevelIncompleteError           26   cut by the border, merged, in pieces, with holes
│   ├── SettingsError                      27   a setting out of its range
│   └── RecordError                        28   a follow-up record that cannot be accepted
├── RefusedError (RuntimeError)            30   no acceptable plan; the result is written
├── OutputError (OSError)                  40   cannot write
│   ├── ReadOnlyError                      41   the output folder may not be written
│   └── DiskFullError                      42   no space left; nothing half-written stays
├── MissingPartError (ImportError)         50   an optional part is not installed
└── InternalError (RuntimeError)           70   a law inside kypho failed: a bug, please report

Findings that are results, not failures, have codes of their own in `kypho.cli.codes`.
"""

from __future__ import annotations

__all__ = [
    "ArchiveError",
    "ChoiceNeededError",
    "CompressionError",
    "DiskFullError",
    "DuplicateSlicesError",
    "FrameOfReferenceError",
    "GantryTiltError",
    "GeometryError",
    "GridMismatchError",
    "InputError",
    "InternalError",
    "KyphoError",
    "LabelsError",
    "LabelsNeededError",
    "LevelError",
    "LevelIncompleteError",
    "MissingPartError",
    "MissingSlicesError",
    "ModalityError",
    "NotFiniteError",
    "OutputError",
    "ReadOnlyError",
    "RecordError",
    "RefusedError",
    "SettingsError",
    "UnevenSpacingError",
    "UnreadableFileError",
]


class KyphoError(Exception):
    """Root of everything kypho raises on purpose. The message is one line and ends with the next step."""

    exit_code = 1


class ChoiceNeededError(KyphoError, LookupError):
    """The input holds several candidates; the message lists them and names the option that chooses."""

    exit_code = 3


class InputError(KyphoError, ValueError):
    """An input cannot be used."""

    exit_code = 10


class UnreadableFileError(InputError):
    """The file is missing, empty, truncated or in no known format."""

    exit_code = 11


class MissingSlicesError(InputError):
    """A DICOM stack has a gap."""

    exit_code = 12


class DuplicateSlicesError(InputError):
    """A DICOM stack has two slices at one position."""

    exit_code = 13


class UnevenSpacingError(InputError):
    """The steps between slices differ without a whole slice missing."""

    exit_code = 14


class GantryTiltError(InputError):
    """The slices are shifted in their plane from one to the next."""

    exit_code = 15


class ModalityError(InputError):
    """The image is not a CT in Hounsfield units."""

    exit_code = 16


class CompressionError(InputError):
    """No decoder is installed for the transfer syntax."""

    exit_code = 17


class NotFiniteError(InputError):
    """The image holds NaN or infinity."""

    exit_code = 18


class ArchiveError(InputError):
    """A zip is unreadable, climbs out of its folder, or expands past the limit."""

    exit_code = 19


class GeometryError(InputError):
    """Orientation or spacing is sheared, singular or missing."""

    exit_code = 20


class GridMismatchError(GeometryError):
    """Two arrays that must share a grid do not."""

    exit_code = 21


class LabelsError(InputError):
    """The labels are empty or follow no known scheme."""

    exit_code = 22


class FrameOfReferenceError(LabelsError):
    """The labels belong to another patient, scan or frame of reference."""

    exit_code = 23


class LabelsNeededError(LabelsError):
    """No labels were given and no segmenter is installed."""

    exit_code = 24


class LevelError(InputError):
    """The asked level is not in the labels, or what was found or planned is of another level."""

    exit_code = 25


class LevelIncompleteError(LevelError):
    """The level is cut by the scan's border, merged with a neighbour, in pieces, or with holes."""

    exit_code = 26


class SettingsError(InputError):
    """A setting is unknown or out of its range."""

    exit_code = 27


class RecordError(InputError):
    """A follow-up record that cannot be accepted; nothing is stored."""

    exit_code = 28


class RefusedError(KyphoError, RuntimeError):
    """No acceptable plan exists; the result with its reasons has been written."""

    exit_code = 30


class OutputError(KyphoError, OSError):
    """The output cannot be written."""

    exit_code = 40


class ReadOnlyError(OutputError):
    """The output folder may not be written."""

    exit_code = 41


class DiskFullError(OutputError):
    """No space left; nothing half-written stays behind."""

    exit_code = 42


class MissingPartError(KyphoError, ImportError):
    """An optional part is not installed; the message names it and how to get it."""

    exit_code = 50


class InternalError(KyphoError, RuntimeError):
    """A law inside kypho failed. This is a bug."""

    exit_code = 70
