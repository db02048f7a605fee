"""The embedded engine with ClickHouse's own access control, its only user having one role.

The engine has no place to store roles, but it reads users from a file like a server. So the grants
and limits of ``schemas/sql/roles`` are written there, word for word, for the user that it runs as.
``python -m tests.integration.restricted DATA CONFIG TEMP`` serves it over HTTP until its standard
input ends.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from pydantic import SecretStr

from pipeline.settings import Settings
from pipeline.warehouse.roles import role_statements
from tests.integration.command import ROOT, environment

PASSWORD = "of this test"  # noqa: S105
_READY_SECONDS = 60

CONFIG = """
<clickhouse><users_config>{users}</users_config>
<user_directories><users_xml><path>{users}</path></users_xml></user_directories>
<remote_servers><main><shard><replica><host>127.0.0.1</host><port>9</port></replica></shard></main>
</remote_servers></clickhouse>
"""
USERS = """
<clickhouse>
<profiles><default/><limits>{profile}</limits></profiles>
<quotas><default/><limits><keyed_by_user_name/>{quota}</limits></quotas>
<users><default><password></password><networks><ip>::/0</ip></networks>
<profile>limits</profile><quota>limits</quota>
<grants>{grants}</grants></default></users>
</clickhouse>
"""


def users_file(statements: list[str]) -> str:
    """Return the users of a server that has one role's statements, as a file of users."""
    grants, profile, quota = [], "", ""
    for sql in statements:
        one = re.sub(r" ON CLUSTER '\w+'", "", " ".join(sql.split()))
        granted = re.fullmatch(r"(GRANT .*) TO `\w+`(?: WITH REPLACE OPTION)?", one)
        limited = re.fullmatch(r"CREATE SETTINGS PROFILE .* SETTINGS (.*) TO `\w+`", one)
        counted = re.fullmatch(r"CREATE QUOTA .* INTERVAL 1 hour MAX queries = (\d+) TO `\w+`", one)
        if granted:
            grants.append(f"<query>{escape(granted[1])}</query>")
        elif limited:
            pairs = [item.split(" = ") for item in limited[1].split(", ")]
            limits = {key: value.strip("'") for key, value in pairs}
            profile = "".join(f"<{key}>{value}</{key}>" for key, value in limits.items())
        elif counted:
            hour = f"<duration>3600</duration><queries>{counted[1]}</queries>"
            quota = f"<interval>{hour}</interval>"
        else:
            assert sql.startswith("CREATE ROLE IF NOT EXISTS `"), sql
    return USERS.format(profile=profile, quota=quota, grants="".join(grants))


@contextmanager
def restricted(data: Path, temp: Path, settings: Settings, role: str) -> Iterator[Settings]:
    """Serve a data directory that nobody has open to a user who has one role.

    Args:
        data: Data directory of the embedded engine.
        temp: Directory for files.
        settings: Name the database and the limits.
        role: One of the roles.

    Yields:
        The settings of a client.
    """
    users, config = temp / "users.xml", temp / "config.xml"
    users.write_text(users_file(role_statements(settings)[f"{role}.sql"]))
    config.write_text(CONFIG.format(users=users))
    command = [sys.executable, "-m", "tests.integration.restricted", data, config, temp]
    with subprocess.Popen(
        command, cwd=ROOT, env={**environment(), "TZ": "UTC"}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port.isdecimal(), f"the restricted engine did not start: {port}"
            address = f"clickhouse://touchline@127.0.0.1:{port}/{settings.database}"
            update = {"clickhouse": address, "clickhouse_password": SecretStr(PASSWORD)}
            yield settings.model_copy(update=update)
        finally:
            process.stdin.close()
            try:
                process.wait(_READY_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


async def _serve(data: str, config: str, temp: str) -> None:
    from pipeline.embedded.engine import Engine
    from pipeline.embedded.front import Front

    engine = Engine(Path(f"{data}?config-file={config}"))
    front = Front(engine, PASSWORD, Path(temp))
    print(await front.start(), flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    if await front.stop():
        engine.close()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
