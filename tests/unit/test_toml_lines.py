from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import CatalogError
from pipeline.toml_lines import TomlLines, parse_text, read_text

TEXT = '''# a comment
version = "1"

[journey]
gap = "14d"   # inline

[[touchpoints]]
id = "a"
text = """
[[touchpoints]]
id = "not \\""" a key"
"""

[[touchpoints.match]]
channel = "web"
where."details.page_type" = "home"

[[touchpoints]]
id = "b"
[[touchpoints.match]]
channel = "email"
[[touchpoints.match]]
channel = "phone"
'''

INLINE = """name = "[[touchpoints]] # no comment"
[[touchpoints]]
id = "a"   # it's
match = [ # rules
    { channel = "web", where = { "details.x" = ["a ] }", 'b'] } },
    # { channel = "none" },
    { channel = ["web",
        "app"], action = [
        "view", "click",
    ], where = { "details.y" = [
        1_000], segment = { exists = true } } },

    { channel = \"\"\"phone\"\"\" } ]
owner = 'x'
dates = [1979-05-27T07:32:00Z, [1, 2], 1e3]
[[touchpoints]]
match = []
id = "b"
"""


def test_finds_each_value_on_its_line():
    lines = TomlLines(TEXT)
    for path, wanted in {
        ("version",): 'version = "1"',
        ("journey", "gap"): 'gap = "14d"   # inline',
        ("touchpoints", 0, "id"): 'id = "a"',
        ("touchpoints", 0, "match", 0, "channel"): 'channel = "web"',
        ("touchpoints", 0, "match", 0, "where", "details.page_type"): 'where."details.page_type"',
        ("touchpoints", 1, "id"): 'id = "b"',
        ("touchpoints", 1, "match", 1, "channel"): 'channel = "phone"',
    }.items():
        assert TEXT.splitlines()[lines.find(path) - 1].startswith(wanted), path


def test_a_missing_key_points_at_its_table():
    lines = TomlLines(TEXT)
    assert TEXT.splitlines()[lines.find(("touchpoints", 1, "owner")) - 1] == "[[touchpoints]]"
    assert lines.find(("touchpoints", 1, "owner")) == 18
    assert lines.find(("nothing",)) == 0


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("touchpoints",), 2),
        (("touchpoints", 0, "match"), 4),
        (("touchpoints", 0, "match", 0), 5),
        (("touchpoints", 0, "match", 0, "where", "details.x", 1), 5),
        (("touchpoints", 0, "match", 1), 7),
        (("touchpoints", 0, "match", 1, "channel", 0), 7),
        (("touchpoints", 0, "match", 1, "channel", 1), 8),
        (("touchpoints", 0, "match", 1, "action", 1), 9),
        (("touchpoints", 0, "match", 1, "where"), 10),
        (("touchpoints", 0, "match", 1, "where", "segment", "exists"), 11),
        (("touchpoints", 0, "match", 1, "missing"), 7),
        (("touchpoints", 0, "match", 2, "channel"), 13),
        (("touchpoints", 0, "owner"), 14),
        (("touchpoints", 0, "dates", 1, 1), 15),
        (("touchpoints", 1, "id"), 18),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_finds_the_elements_of_inline_arrays(path, line, ending):
    text = INLINE.replace("\n", ending)
    parse_text("it is valid", text)
    assert TomlLines(text).find(path) == line


def test_every_value_of_the_default_catalog_is_found_where_its_text_stands():
    text = files("schemas").joinpath("catalogs/default.toml").read_text(encoding="utf-8")
    rows, lines = text.splitlines(), TomlLines(text)
    rules = 0
    for number, touchpoint in enumerate(parse_text("default", text)["touchpoints"]):
        path = ("touchpoints", number)
        assert rows[lines.find((*path, "id")) - 1] == f'id = "{touchpoint["id"]}"'
        for index, match in enumerate(touchpoint["match"]):
            for key in match:
                assert f"{key} = " in rows[lines.find((*path, "match", index, key)) - 1]
            begin = rows[lines.find((*path, "match", index)) - 1].strip()
            assert begin.startswith(("{ channel", "match = [{ channel"))
            rules += 1
    assert rules > 100


@given(st.text("[]{}=\"',.#\n\\ab1 ", max_size=60))
def test_any_text_ends(text):
    assert TomlLines(text).find(("a",)) >= 0


@pytest.mark.parametrize(
    ("text", "line"),
    [('a = 1\nb = "x\n', 2), ("a = 1\nb = [1,\n2", 3), ("a = 1\na = 2\n", 2)],
)
def test_broken_toml_names_file_and_line(text, line):
    with pytest.raises(CatalogError, match=f"^the file:{line}: not valid TOML") as caught:
        parse_text("the file", text)
    assert caught.value.problems[0].line == line


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path):
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_text(tmp_path / "marked.toml") == "a = 1\n"


def test_text_that_is_not_utf_8_names_the_line(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'a = 1\nb = "caf\xe9"\n')
    with pytest.raises(CatalogError, match=r"latin\.toml:2: not UTF-8 .*save it as UTF-8"):
        read_text(tmp_path / "latin.toml")
