"""Is this machine fit for studies? Small checks, each with a verdict and a way to mend it.

What may hang, or take its process down, is asked in a process of its own and ended after a bounded
time; so a torch, Ray or MLflow that is broken is a finding, not a traceback.
"""

from handssl.doctor.finding import Finding, Verdict, overall
from handssl.doctor.run import CHECKS, diagnose
from handssl.doctor.settings import Settings

__all__ = ["CHECKS", "Finding", "Settings", "Verdict", "diagnose", "overall"]
