"""The error tree: every error a user can cause, each with the exit code of the command line.

An error says what was expected, what came, and what to do about it. The command line prints the
message alone; a traceback means a defect of ours.
"""

from __future__ import annotations


class HandsslError(Exception):
    """Base of all errors handssl raises on purpose. Exit code 1."""

    exit_code = 1


class InputError(HandsslError):
    """Something the user wrote is wrong: an option, a key, a value, a name. Exit code 2."""

    exit_code = 2


class DataError(HandsslError):
    """A dataset on disk does not match its layout. Exit code 3."""

    exit_code = 3


class DatabaseAwayError(DataError):
    """The database server is not reachable; run the command again once it is. Exit code 69."""

    exit_code = 69


class NoClusterError(InputError):
    """No Ray cluster answers at an address, possibly only for a moment. Exit code 69."""

    exit_code = 69


class ClusterLostError(HandsslError):
    """Ray stopped during a run; the same command resumes from what is kept. Exit code 69."""

    exit_code = 69


class OtherCodeError(InputError):
    """A node of a Ray cluster has different code or libraries from the driver. Exit code 2."""


class BusyStudyError(InputError):
    """Another driver runs the study; run the command again after its end. Exit code 69."""

    exit_code = 69


class TakenOverError(BusyStudyError):
    """Another driver has taken a study or trial over, as this one's lease expired. Exit code 69.

    A process that receives it may no longer write, and ends.
    """


class DivergedError(HandsslError):
    """Training produced a number that is not finite. Exit code 4."""

    exit_code = 4


class InterruptedStudyError(HandsslError):
    """A study was interrupted by Ctrl-C; what finished is kept. Exit code 130."""

    exit_code = 130


class PausedStudyError(InterruptedStudyError):
    """SIGTERM or the time limit stopped a run; the same command resumes it. Exit code 75."""

    exit_code = 75
