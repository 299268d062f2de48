"""MLflow is not what these tests are about."""

from tests.stores import copied_stores  # noqa: F401
