"""Exit codes. Errors carry theirs (see `kypho.errors`); these are the results that are not errors."""

__all__ = [
    "EXIT_CANAL_LEAK",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_READABLE",
    "EXIT_NO_CEMENT",
    "EXIT_OK",
    "EXIT_PIPE_CLOSED",
    "EXIT_RED",
    "EXIT_REFUSED",
    "EXIT_STOPPED",
    "EXIT_UNEXPECTED",
]

EXIT_OK = 0
EXIT_REFUSED = 30
"""`kypho plan`: no acceptable approach; plan.json holds the reasons. `kypho view-angles`: of such a plan."""
EXIT_CANAL_LEAK = 60
"""`kypho check`: cement in the spinal canal."""
EXIT_NOT_READABLE = 61
"""`kypho check`: the canal cannot be read, something dense in it is doubtful, or a dense body holds no
certain cement."""
EXIT_RED = 62
"""`kypho follow watch`: a red flag is active."""
EXIT_NO_CEMENT = 63
"""`kypho check`: no cement at the level, which looks like a CT before the operation."""
EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
"""Standard output was closed before all of it was read, as by `| head`; files are written as without that."""
EXIT_STOPPED = 143
"""Stopped by SIGTERM; what was not finished was not written. Finished members of an ensemble are kept."""
