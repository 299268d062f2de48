"""Meaning of every Ray error for a run, with a plain description."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ray.exceptions import RayError

Kind = Literal["trial", "node", "cluster", "raised", "defect"]


class Meaning(NamedTuple):
    """Meaning of an error.

    Attributes:
        kind: What is lost: the process of a `trial`, a `node` with all its processes, or the
            `cluster` itself. Nothing is lost if the code that Ray ran has `raised` it, or if Ray
            was used wrongly, which is a `defect` of handssl.
        words: Description for users.
    """

    kind: Kind
    words: str


# Every class of `ray.exceptions`. A test compares them, so that classes of a new Ray are noticed.
MEANINGS: dict[str, Meaning] = {
    "ActorAlreadyExistsError": Meaning("defect", "an actor of that name exists already"),
    "ActorDiedError": Meaning("trial", "it crashed or was killed"),
    "ActorHandleNotFoundError": Meaning("defect", "the actor belongs to an earlier Ray"),
    "ActorPlacementGroupRemoved": Meaning("trial", "its resources were taken away"),
    "ActorUnavailableError": Meaning("trial", "it or its node is gone"),
    "ActorUnschedulableError": Meaning("node", "no node can run it any more"),
    "AsyncioActorExit": Meaning("defect", "an actor ended itself"),
    "AuthenticationError": Meaning("cluster", "Ray refused the token"),
    "CrossLanguageError": Meaning("defect", "an error of another language"),
    "GetTimeoutError": Meaning("trial", "it did not answer in time"),
    "LocalRayletDiedError": Meaning("node", "the raylet of its node ended"),
    "NodeDiedError": Meaning("node", "its node is gone"),
    "ObjectFetchTimedOutError": Meaning("node", "data could not be fetched from its node"),
    "ObjectFreedError": Meaning("defect", "data was freed too early"),
    "ObjectLostError": Meaning("node", "data was lost with its node"),
    "ObjectReconstructionFailedError": Meaning("node", "data was lost with its node"),
    "ObjectRefStreamEndOfStreamError": Meaning("defect", "a stream was read beyond its end"),
    "ObjectStoreFullError": Meaning("node", "the object store of its node is full"),
    "OufOfBandObjectRefSerializationException": Meaning("defect", "a reference left Ray"),
    "OutOfDiskError": Meaning("node", "the disk of its node is full"),
    "OutOfMemoryError": Meaning("trial", "its node ran out of memory and ended it"),
    "OwnerDiedError": Meaning("trial", "the process that owned its data is gone"),
    "PendingCallsLimitExceeded": Meaning("defect", "too many calls wait for an actor"),
    "PlasmaObjectNotAvailable": Meaning("node", "data is missing on its node"),
    "RayActorError": Meaning("trial", "it crashed or was killed"),
    "RayCgraphCapacityExceeded": Meaning("defect", "too many results wait"),
    "RayChannelError": Meaning("defect", "a channel failed"),
    "RayChannelTimeoutError": Meaning("defect", "a channel did not answer in time"),
    "RayDirectTransportError": Meaning("defect", "a direct transport failed"),
    "RayError": Meaning("cluster", "Ray failed"),
    "RaySystemError": Meaning("cluster", "Ray failed internally"),
    "RayTaskError": Meaning("raised", "the code that it ran raised an error"),
    "ReferenceCountingAssertionError": Meaning("defect", "data was freed too early"),
    "RpcError": Meaning("cluster", "Ray did not answer"),
    "RuntimeEnvSetupError": Meaning("node", "its node could not set up its environment"),
    "StreamingGeneratorReplayInconsistentError": Meaning("defect", "a stream changed"),
    "TaskCancelledError": Meaning("trial", "it was cancelled"),
    "TaskPlacementGroupRemoved": Meaning("trial", "its resources were taken away"),
    "TaskUnschedulableError": Meaning("node", "no node can run it any more"),
    "UnserializableException": Meaning("raised", "the code that it ran raised an error"),
    "UserCodeException": Meaning("raised", "the code that it ran raised an error"),
    "WorkerCrashedError": Meaning("trial", "it crashed or was killed"),
}
LOST: tuple[Kind, ...] = ("trial", "node")

# Fragments of the text of errors that have several meanings; the first match counts.
_SIGNS = (
    ("low on memory", MEANINGS["OutOfMemoryError"].words),
    ("its node", MEANINGS["NodeDiedError"].words),
    ("worker process has died", MEANINGS["ActorDiedError"].words),
    ("is unavailable", MEANINGS["ActorUnavailableError"].words),
)
_NAMED = re.compile(r"\bray\.exceptions\.(\w+)")
_GENERAL = ("ActorDiedError", "RayActorError", "RayTaskError", "RayError")


def meaning_of(error: BaseException | None) -> Meaning | None:
    """Return the meaning of an error or of its causes; None if none of them is Ray's.

    Args:
        error: The caught error.

    Example:
        >>> from ray.exceptions import NodeDiedError, OutOfMemoryError
        >>> meaning_of(OutOfMemoryError("1 worker(s) were killed")).words
        'its node ran out of memory and ended it'
        >>> meaning_of(NodeDiedError("gone")).kind
        'node'
        >>> meaning_of(ValueError("ours"))
    """
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, RayError):
            known = (MEANINGS.get(base.__name__) for base in type(error).__mro__)
            return next(filter(None, known))
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def describe_failure(text: str) -> str:
    """Describe the loss of a process in words, without Ray's ids and guesses.

    Args:
        text: Traceback of the call that was not answered.

    Returns:
        A short description; Ray's own last line if the error is not recognized.

    Example:
        >>> describe_failure("The actor 65de is unavailable: RpcError: recvmsg:Connection reset")
        'it or its node is gone'
        >>> describe_failure("ray.exceptions.OutOfDiskError: The object cannot be created")
        'the disk of its node is full'
    """
    lines = text.strip().splitlines() or ["no error message"]
    meant = (words for sign, words in _SIGNS if sign in text)
    return next(meant, None) or _describe_by_class(text) or lines[-1].strip()


def _describe_by_class(text: str) -> str:
    """Return the description of the last class in a text that has only one meaning."""
    names = [name for name in _NAMED.findall(text) if name in MEANINGS and name not in _GENERAL]
    return MEANINGS[names[-1]].words if names else ""
