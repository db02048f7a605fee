"""What can be looked at on this machine alone: files, the embedded stack, the catalog."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline import catalog
from pipeline.doctor.findings import Result, fail, ok, skip, warn
from pipeline.embedded.home import Home
from pipeline.moments.rules import Rules
from pipeline.settings import DEFAULT_FILE, PREFIX, Settings, secrets
from pipeline.warehouse.lifecycle import check_terms

#: Less than this on the disk of the home directory is worth a word; the engine needs room to merge.
LITTLE_BYTES = 2 << 30
#: Less than this and inserts will soon fail.
NO_BYTES = 256 << 20


def configured(settings: Settings) -> Iterator[Result]:
    """Yield where the settings come from, and who else may read their secrets."""
    file = Path(os.environ.get(f"{PREFIX}CONFIG", DEFAULT_FILE))
    kafka = settings.kafka or "the embedded broker"
    clickhouse = settings.clickhouse or "the embedded engine"
    source = f"{file} and the environment" if file.exists() else "the environment"
    yield ok(f"read from {source}: Kafka is {kafka}, ClickHouse is {clickhouse}")
    for said, path in _secret_files(settings, file):
        yield from _readable_by_others(said, path)


def _secret_files(settings: Settings, file: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file that holds a secret, with what names it."""
    for name in secrets():
        variable = f"{PREFIX}{name.upper()}_FILE"
        if variable in os.environ:
            yield variable, Path(os.environ[variable])
    if settings.kafka_key_file is not None:
        yield f"{PREFIX}KAFKA_KEY_FILE", settings.kafka_key_file
    if file.exists():
        text = file.read_text(encoding="utf-8", errors="replace").lower()
        if any(line.split("=")[0].strip() in secrets() for line in text.splitlines()):
            yield "the settings file, which holds a secret", file
    home = Home.at(settings.home)
    for path in (home.pepper_file, home.run_file):
        if path.exists():
            yield "the embedded stack's secret", path


def _readable_by_others(said: str, path: Path) -> Iterator[Result]:
    try:
        mode = path.stat().st_mode
        # a directory that is closed to others closes what is in it
        shut = not path.resolve().parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        yield fail(f"{said}: cannot look at {path}: {error.strerror}", "correct the path")
        return
    others = mode & (stat.S_IRGRP | stat.S_IROTH)
    if others and not shut:
        yield warn(
            f"{said}: {path} can be read by other users (mode {stat.S_IMODE(mode):04o})",
            f"`chmod 600 {path}`",
        )


def known_catalog(settings: Settings) -> Iterator[Result]:
    """Yield whether the catalog can be used, with these settings.

    Raises:
        CatalogError: It cannot.
        SettingsError: Its rules look back further than rows are kept.
    """
    loaded = catalog.load(settings.catalog)
    check_terms(settings, Rules(loaded))
    found = loaded.catalog
    yield ok(
        f"{loaded.path}, version {loaded.version}: {len(found.channels)} channels, "
        f"{len(found.touchpoints)} touchpoints, {len(found.rules)} rules of moments"
    )


def home_directory(settings: Settings) -> Iterator[Result]:
    """Yield whether the home directory can be worked in.

    Raises:
        FatalError: Its name is one that the engine cannot read.
    """
    root = Home.at(settings.home).root
    if not root.exists():
        parent = next(each for each in root.parents if each.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok(f"{root} is made when it is needed")
        else:
            yield fail(
                f"{root} is not there and cannot be made",
                f"set {PREFIX}HOME to a directory of yours",
            )
        return
    if not root.is_dir() or not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield fail(
            f"{root} is no directory that can be read and written",
            f"set {PREFIX}HOME to a directory of yours, or mend its owner",
        )
        return
    yield from _room(root)


def _room(root: Path) -> Iterator[Result]:
    free = shutil.disk_usage(root).free
    said = f"{root} can be written, {free / (1 << 30):,.1f} GiB are free"
    fix = f"make room on that disk, or set {PREFIX}HOME to another"
    if free < NO_BYTES:
        yield fail(said, fix)
    elif free < LITTLE_BYTES:
        yield warn(said, fix)
    else:
        yield ok(said)


def embedded_stack(settings: Settings) -> Iterator[Result]:
    """Yield how the embedded stack is, where one is used.

    Raises:
        FatalError: One runs and its files cannot be used.
    """
    if not (settings.embedded_kafka or settings.embedded_clickhouse):
        return
    home = Home.at(settings.home)
    found = home.read_run()
    if found is not None:
        parts = [f"Kafka {found.kafka}"] if found.kafka else []
        parts += [f"ClickHouse {found.clickhouse}"] if found.clickhouse else []
        whose = "until Ctrl-C" if found.lasting else "for another command, and ends with it"
        yield ok(f"runs as process {found.pid} {whose}: {', '.join(parts)}")
        if found.lasting and found.kafka is None and settings.embedded_kafka:
            yield fail("it has no broker", "stop it, then `touchline up`")
        return
    if home.root.exists() and home.is_locked():
        yield warn(
            f"process {home.holder() or '(unknown)'} holds {home.root} and is not ready",
            f"wait until it has started; if it does not, see {home.stack_log}",
        )
        return
    if home.run_file.exists():
        yield warn(
            f"{home.run_file} was left by a stack that was killed; the next start replaces it",
            "`touchline up`",
        )
    if home.data.exists() and not home.pepper_file.exists():
        yield fail(
            f"{home.data} holds data and {home.pepper_file} is gone: a new pepper would make other "
            "hashes of the same customers",
            "restore it from a backup, or begin anew in another directory",
        )
    yield skip("the embedded stack does not run (`touchline up` starts it)")
