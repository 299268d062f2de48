"""`handssl data show --transformations`, without any data."""

from handssl.cli.app import invoke


def test_the_command_needs_no_data(tmp_path, capfd):
    path = tmp_path / "deep" / "t.png"
    assert invoke(["data", "show", "--transformations", "--out", str(path)]) == 0
    assert capfd.readouterr().out.strip() == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_show_without_a_store_says_what_it_expects(capfd):
    assert invoke(["data", "show"]) == 2
    assert "expected a STORE to show, or --transformations" in capfd.readouterr().err
