import re

import pytest
from pydantic import SecretStr

from pipeline import settings
from pipeline.errors import SettingsError


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_nothing_configured_means_embedded():
    loaded = settings.load()
    assert loaded.embedded_kafka
    assert loaded.embedded_clickhouse


def test_environment_beats_file_beats_default(monkeypatch, tmp_path):
    (tmp_path / "touchline.toml").write_text('kafka_group = "file"\npartitions = 7\n')
    monkeypatch.setenv("TOUCHLINE_KAFKA_GROUP", "environment")
    loaded = settings.load()
    assert (loaded.kafka_group, loaded.partitions, loaded.replication) == ("environment", 7, 1)
    assert settings.load(kafka_group="argument").kafka_group == "argument"


def test_unknown_variables_are_refused_with_a_guess(monkeypatch):
    monkeypatch.setenv("TOUCHLINE_KAFAK", "x")
    monkeypatch.setenv("TOUCHLINE_ZZZZ", "x")
    monkeypatch.setenv("TOUCHLINE_PARTITIONS_FILE", "x")  # not a secret
    with pytest.raises(SettingsError) as caught:
        settings.load()
    said = str(caught.value).splitlines()
    assert said[0] == (
        "TOUCHLINE_KAFAK: unknown setting in the environment (did you mean 'TOUCHLINE_KAFKA'?)"
    )
    assert said[1].startswith("TOUCHLINE_PARTITIONS_FILE: unknown setting")
    assert said[2].startswith("TOUCHLINE_ZZZZ: ")
    assert "touchline settings" in said[2]


@pytest.mark.parametrize("name", ["touchline.toml", "other.toml"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kafak = 'x'\n", "1: kafak: unknown setting (did you mean 'kafka'?)"),
        ("\nTOUCHLINE_KAFKA = 'x'", "2: TOUCHLINE_KAFKA: unknown setting (did you mean 'kafka'?)"),
        ("[touchline]\nkafka = 'x'", "1: touchline: unknown setting (see `touchline settings`"),
        ("partitions = 3\nkafka = x\n", "2: not valid TOML: "),
        ("# few\npartitions = 'few'\n", "2: partitions: Input should be a valid integer"),
        ("[kafka]\nservers = 'x'\n", "1: kafka: Input should be a valid string"),
        ("KAFKA = [\n'x']\n", "1: KAFKA: Input should be a valid string"),
        ("pepper = 'short'\n", "1: pepper: "),
        ("partitions = 3\nkafka = '\udce9'\n", "2: not UTF-8 "),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(monkeypatch, tmp_path, name, text, says):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    if name != settings.DEFAULT_FILE:
        monkeypatch.setenv("TOUCHLINE_CONFIG", name)
    with pytest.raises(SettingsError, match=f"^{re.escape(f'{name}:{says}')}") as caught:
        settings.load()
    assert "short" not in str(caught.value)


def test_a_value_of_the_environment_is_not_blamed_on_the_file(monkeypatch, tmp_path):
    (tmp_path / "touchline.toml").write_text("partitions = 3\n")
    monkeypatch.setenv("TOUCHLINE_PARTITIONS", "many")
    with pytest.raises(SettingsError, match="^TOUCHLINE_PARTITIONS: "):
        settings.load()


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "touchline.toml").mkdir()
    with pytest.raises(SettingsError, match=r"^touchline\.toml: Is a directory"):
        settings.load()


def test_a_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "touchline.toml").write_text("partitions = 7\n", encoding="utf-8-sig")
    assert settings.load().partitions == 7


def test_a_config_file_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("TOUCHLINE_CONFIG", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"^nowhere\.toml: No such file .*TOUCHLINE_CONFIG"):
        settings.load()


def test_secrets_come_from_files_and_are_never_shown(monkeypatch, tmp_path):
    (tmp_path / "pepper").write_text("a secret of enough letters\n")
    monkeypatch.setenv("TOUCHLINE_PEPPER_FILE", str(tmp_path / "pepper"))
    loaded = settings.load()
    assert loaded.pepper == SecretStr("a secret of enough letters")
    assert "enough letters" not in repr(loaded)
    (tmp_path / "short").write_text("tooshort")
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    for name in ("short", "binary"):
        monkeypatch.setenv("TOUCHLINE_PEPPER_FILE", str(tmp_path / name))
        with pytest.raises(SettingsError, match="^TOUCHLINE_PEPPER_FILE: ") as caught:
            settings.load()
        assert "tooshort" not in str(caught.value)
    monkeypatch.setenv("TOUCHLINE_PEPPER_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="TOUCHLINE_PEPPER_FILE"):
        settings.load()


def test_an_invalid_value_is_named_and_a_secret_is_not_shown(monkeypatch):
    monkeypatch.setenv("TOUCHLINE_PARTITIONS", "many")
    monkeypatch.setenv("TOUCHLINE_PEPPER", "tooshort")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert "TOUCHLINE_PARTITIONS" in str(caught.value)
    assert "TOUCHLINE_PEPPER" in str(caught.value)
    assert "tooshort" not in str(caught.value)


def test_a_real_clickhouse_needs_a_pepper(monkeypatch):
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE", "clickhouse://touchline@db:8123/touchline")
    with pytest.raises(SettingsError, match="TOUCHLINE_PEPPER"):
        settings.load()


def test_another_process_can_be_given_the_same(monkeypatch):
    loaded = settings.load(pepper="p" * 20, kafka="broker:9092", batch_seconds=0.25)
    for name, value in settings.environment(loaded).items():
        monkeypatch.setenv(name, value)
    assert settings.load() == loaded
