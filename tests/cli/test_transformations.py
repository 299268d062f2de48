"""`handssl data show --transformations`, without any data."""

from handssl.cli.app import invoke


def test_the_command_needs_no_data(tmp_path, capfd):
    path = tmp_path / "deep" / "t.png"
    assert invoke(["data", "show", "--transformations", "--out", str(path)]) == 0
    assert capfd.readouterr().out.splitlines()[0] == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_show_without_a_store_says_what_it_expects(capfd):
    assert invoke(["data", "show"]) == 2
    assert "expected a STORE to show, or --transformations" in capfd.readouterr().err


def test_the_table_says_which_targets_two_views_leave_unknown(tmp_path, capfd):
    path = tmp_path / "sheet.png"
    words = ["data", "show", "--transformations", "--composition", "rotate+translate"]
    assert invoke([*words, "--out", str(path)]) == 0
    printed, outside, *table = capfd.readouterr().out.splitlines()
    assert outside.startswith("Hands with a joint outside of their view: translate ")
    assert printed == str(path)
    rows = {line[:34].strip(): line[34:].split() for line in table}
    assert rows["rotate, angle"] == ["0.00", "0.00", "0.00"]
    alone, together, between_views = map(float, rows["translate, x"])
    assert alone == between_views == 0.0
    assert 0.2 < together < 0.3


def test_a_composition_without_parameters_is_refused(capfd):
    assert invoke(["data", "show", "--transformations", "--composition", "blur"]) == 2
    assert "expected at least one of translate, rotate" in capfd.readouterr().err
