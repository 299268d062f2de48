"""A cluster for those who kill its nodes; MLflow is not what these tests are about."""

import pytest

from tests.execution.clusters import local_cluster
from tests.stores import copied_stores  # noqa: F401


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of a CPU each, for the tests of one module."""
    with local_cluster(nodes=3) as cluster:
        yield cluster
