"""Everything Second Read refuses, under one root.

A message says what was wrong, what was got, and what to do next; the command line and the pages print it as it is.
A leaf also inherits the natural builtin, so that callers who know only Python catch it too.
"""


class SecondReadError(Exception):
    """Root of all errors that are the user's to read. Its text is a complete sentence or two."""


class UnreadableSlideError(SecondReadError, OSError):
    """The file is not a slide that can be opened, or it broke while being read."""


class MissingMppError(SecondReadError, ValueError):
    """The slide states no micrometres per pixel and none was given."""


class InvalidMppError(SecondReadError, ValueError):
    """A micrometres-per-pixel value that no scanner produces (not finite, zero, negative, absurd)."""


class NotApplicableError(SecondReadError, ValueError):
    """The model is not made for this slide (stain, tissue, scale)."""


class InputError(SecondReadError, ValueError):
    """A path, manifest, column or argument the user gave cannot be used."""


class NotFoundError(SecondReadError, LookupError):
    """No case, slide, job, run or model of that name."""


class NotAllowedError(SecondReadError, PermissionError):
    """The person, the command line or the worker may not do this; the sentence says who may."""


class ConflictError(SecondReadError, RuntimeError):
    """The step is not allowed in the present state, or somebody else was first."""


class ModelError(SecondReadError, ValueError):
    """A model card or its weights are missing, altered or inconsistent."""


class DeviceMemoryError(SecondReadError, MemoryError):
    """The compute device ran out of memory on a batch; a smaller batch may pass."""


class StorageError(SecondReadError, OSError):
    """The home folder or the log cannot be written: full disk, read-only folder, locked database."""


class CancelledError(SecondReadError, RuntimeError):
    """The user cancelled the running analysis."""
