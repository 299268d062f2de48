"""`ray start` without the server of Ray Client, which no option of it switches off."""

from __future__ import annotations

from ray.scripts import scripts


def main() -> None:
    """Be `ray start`, for which Ray Client is not installed."""
    scripts.get_ray_client_dependency_error = lambda: "not used by handssl"
    scripts.main()


if __name__ == "__main__":
    main()
