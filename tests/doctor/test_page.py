"""docs/doctor.md names the checks there are, with their numbers."""

import re
from pathlib import Path

from handssl.doctor import CHECKS, disk, machine
from handssl.doctor.check import size

TEXT = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


def test_the_page_has_a_row_for_every_check_in_their_order():
    table = TEXT[TEXT.index("| check |") :]
    assert re.findall(r"^\| `([a-z -]+)` \|", table, flags=re.MULTILINE) == list(CHECKS)


def test_the_numbers_of_the_page_are_those_of_the_checks():
    assert f"less than {size(disk.STUDY_BYTES)}:" in TEXT
    assert f"and {disk.TRIALS} trials" in TEXT
    assert f"less than {disk.LEAST_INODES:,} more files" in TEXT
    assert f"below {disk.SLOW_BYTES_PER_S / 1e6:.0f} MB/s" in TEXT
    assert f"the {machine.OPEN_FILES:,} Ray wants" in TEXT
    assert f"by default: {machine.RAY_SHARE:.0%}".replace("%", " %") in TEXT


def test_what_ray_wants_is_what_ray_says():
    from ray._private import ray_constants

    assert machine.RAY_SHARE == ray_constants.DEFAULT_OBJECT_STORE_MEMORY_PROPORTION
    assert machine.RAY_LIMIT_BYTES == ray_constants.REQUIRE_SHM_SIZE_THRESHOLD
