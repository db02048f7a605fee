from pipeline.toml_lines import TomlLines

TEXT = '''# a comment
version = "1"

[journey]
gap = "14d"   # inline

[[touchpoints]]
id = "a"
text = """
[[touchpoints]]
id = "not a key"
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
