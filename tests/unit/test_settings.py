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


def test_unknown_names_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TOUCHLINE_KAFKA_GRUOP", "x")
    with pytest.raises(SettingsError, match="TOUCHLINE_KAFKA_GRUOP"):
        settings.load()
    monkeypatch.delenv("TOUCHLINE_KAFKA_GRUOP")
    (tmp_path / "touchline.toml").write_text("partitons = 7\n")
    with pytest.raises(SettingsError, match="PARTITONS"):
        settings.load()


def test_a_config_file_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("TOUCHLINE_CONFIG", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        settings.load()


def test_secrets_come_from_files_and_are_never_shown(monkeypatch, tmp_path):
    (tmp_path / "pepper").write_text("a secret of enough letters\n")
    monkeypatch.setenv("TOUCHLINE_PEPPER_FILE", str(tmp_path / "pepper"))
    loaded = settings.load()
    assert loaded.pepper == SecretStr("a secret of enough letters")
    assert "enough letters" not in repr(loaded)
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
