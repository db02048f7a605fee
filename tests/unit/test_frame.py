"""The files around the code: what a reader, a package client and Compose take at their word."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|PEPPER|TOKEN|CREDENTIAL|_KEY", re.IGNORECASE)
SECRET_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def distribution(requirement: str) -> str:
    """Return the normalized name that a requirement or a pin starts with."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def makefile_commands() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    return {name for line in declared for name in line.split()}


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    variables = service.get("environment", {})
    assert isinstance(variables, dict), "name: value pairs, so that this test can read them"
    return {name: str(value) for name, value in variables.items()}


def test_every_make_command_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert makefile_commands() == described
    assert described >= {"demo", "test", "check", "bench", "lock", "clean", "up", "help"}


def test_every_dependency_is_pinned(project: dict[str, Any]) -> None:
    wanted = {distribution(requirement) for requirement in project["dependencies"]}
    for extra in project["optional-dependencies"].values():
        wanted |= {distribution(requirement) for requirement in extra}
    assert wanted <= {distribution(pin) for pin in pins()}


def test_every_line_of_the_lock_is_one_exact_version() -> None:
    exact = re.compile(r"[a-z0-9-]+==[a-z0-9.+!]+( ; .+)?")
    assert [pin for pin in pins() if not exact.fullmatch(pin)] == []


def test_every_version_is_a_range_with_a_lower_end(project: dict[str, Any]) -> None:
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert [requirement for requirement in requirements if ">=" not in requirement] == []


def test_compose_depends_only_on_what_it_declares(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"kafka", "clickhouse", "migrate", "worker"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"], name


def test_compose_waits_for_health_only_where_there_is_a_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][needed], name


def test_compose_holds_no_secret(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in environment_of(service).items():
            assert not SECRET_IN_URL.search(value), f"{name}: {variable}"
            if SECRET_NAME.search(variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"], f"{name}: {variable}"
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


def test_secret_files_are_neither_committed_nor_sent_to_a_build() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "/secrets/" in ignored
    assert "*" in sent
    assert not [line for line in sent if line.startswith("!secrets")]


def test_compose_publishes_ports_to_this_machine_only(compose: dict[str, Any]) -> None:
    published = [port for s in compose["services"].values() for port in s.get("ports", [])]
    assert published
    assert [port for port in published if not str(port).startswith("127.0.0.1:")] == []
    assert not [s for s in compose["services"].values() if s.get("network_mode") == "host"]


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    images += [s["image"] for s in compose["services"].values() if "build" not in s]
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_the_image_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert users
    assert users[-1] not in {"0", "root"}


def test_compose_uses_settings_that_exist(compose: dict[str, Any]) -> None:
    from pipeline.settings import PREFIX, Settings

    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, service in compose["services"].items():
        ours = [v for v in environment_of(service) if v.startswith(PREFIX)]
        unknown = [v for v in ours if v.removesuffix("_FILE") not in known]
        assert unknown == [], name
