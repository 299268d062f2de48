"""Checks of whether this machine can run studies, each with a verdict and a suggested fix.

A check that may hang or crash runs in a separate process with a timeout, so that a broken torch,
Ray or MLflow is a finding, not a traceback.
"""

from handssl.doctor.check import Finding, Settings, Verdict, overall
from handssl.doctor.run import CHECKS, diagnose

__all__ = ["CHECKS", "Finding", "Settings", "Verdict", "diagnose", "overall"]
