"""`ray start` without the Ray Client server, which none of its options disables."""

from __future__ import annotations

from ray.scripts import scripts


def main() -> None:
    """Run `ray start` as if Ray Client were not installed."""
    scripts.get_ray_client_dependency_error = lambda: "not used by handssl"
    scripts.main()


if __name__ == "__main__":
    main()
