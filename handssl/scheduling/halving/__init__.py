"""Successive halving as a pure function of what was reported: same log, same decisions."""

from handssl.scheduling.halving.rules import Arm, Rules, cohorts_of
from handssl.scheduling.halving.state import HalvingState, Status

__all__ = ["Arm", "HalvingState", "Rules", "Status", "cohorts_of"]
