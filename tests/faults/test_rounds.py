"""One seeded round of each kind of fault: the sweep ends as it does without one."""

from __future__ import annotations

import pytest

from tests.faults.kinds import KINDS
from tests.faults.rounds import play, undisturbed

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(900)]
# Other tests of `make test-faults` cause the remaining faults, with more to assert. All kinds are
# in `make test-all` and in the many rounds of `make kill-rounds`.
NOWHERE_ELSE = ("driver", "log_monitor", "memory")
ROUNDS = [
    kind if kind in NOWHERE_ELSE else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS
]


@pytest.fixture(scope="module")
def expected():
    return undisturbed()


@pytest.mark.parametrize("kind", ROUNDS)
def test_a_sweep_ends_with_the_undisturbed_table_after_a_fault_at_a_random_moment(kind, expected):
    found, log = play(kind, f"one round of {kind}", expected)
    assert not found.missed, f"the sweep was over before the fault: {found}"
    assert not found.failed, f"{found}\n{log}"
