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
    """A dataset on disk is not what its layout promises. Exit code 3."""

    exit_code = 3


class DatabaseAwayError(DataError):
    """The server of a database is away; the same command goes on once it is back. Exit code 69."""

    exit_code = 69


class NoClusterError(InputError):
    """No Ray cluster answers at an address, which may be for a moment. Exit code 69."""

    exit_code = 69


class ClusterLostError(HandsslError):
    """Ray has ended under a run; the same command goes on from what is kept. Exit code 69."""

    exit_code = 69


class OtherCodeError(InputError):
    """A node of a Ray cluster has other code or libraries than the driver. Exit code 2."""


class BusyStudyError(InputError):
    """Another driver runs the study; the same command goes on after its end. Exit code 69."""

    exit_code = 69


class TakenOverError(BusyStudyError):
    """Another driver has taken a study or a trial over, this one having been silent. Exit code 69.

    Whoever gets it has lost the right to write, and ends.
    """


class DivergedError(HandsslError):
    """Training produced a number that is not finite. Exit code 4."""

    exit_code = 4


class InterruptedStudyError(HandsslError):
    """A study was interrupted by Ctrl-C; what finished is kept. Exit code 130."""

    exit_code = 130


class PausedStudyError(InterruptedStudyError):
    """SIGTERM or the end of its time stopped a run; the same command goes on. Exit code 75."""

    exit_code = 75
