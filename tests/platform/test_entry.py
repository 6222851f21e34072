"""`python -m havn.platform`: migrations of all schemas, and one API as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest

from havn.kit import db
from havn.platform import APIS
from havn.platform.__main__ import main
from havn.platform.secrets import new_key

PASSWORD = "p@ss w%"


@pytest.fixture
async def fresh(postgres):
    """Addresses in a database that is not there yet, for roles that are not either; all goes after the test."""
    name = f"entry{os.getpid()}_{id(postgres) % 1000}"
    urls = {api.name: postgres.url(name, f"{name}_{api.name}", PASSWORD) for api in APIS}
    yield urls
    admin = await db.connect(postgres.url())
    await admin.execute(f"drop database if exists {name} with (force)")
    for api in APIS:
        await admin.execute(f"drop role if exists {name}_{api.name}")
    await admin.close()


def environ(urls: dict[str, str], **more: str) -> dict[str, str]:
    settings = {f"HAVN_{api.upper()}_DATABASE_URL": url for api, url in urls.items()}
    return {"PATH": os.environ["PATH"], "HAVN_DATABASE_WAIT_SECONDS": "0", **settings, **more}


def start(*arguments: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "havn.platform", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "havn.platform", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


async def test_two_migrations_at_once_make_everything_and_a_third_finds_nothing_to_do(fresh, postgres):
    env = environ(fresh, HAVN_DATABASE_ADMIN_URL=postgres.url())
    both = [start("migrate", env=env), start("migrate", env=env)]
    assert [(each.communicate()[1], each.returncode) for each in both] == [(b"", 0), (b"", 0)]
    for api in APIS:
        owner = await db.connect(fresh[api.name])
        assert await owner.fetchval(f'select count(*) from "{api.name}".migration') > 0
        await owner.close()
    # Without the superuser the owner's right is enough.
    again = run("migrate", env=environ(fresh))
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count('"applied":[]') == len(APIS)


async def test_a_wrong_password_and_a_missing_setting_are_told_in_a_sentence(fresh, postgres):
    wrong = run("migrate", "register", env=environ(fresh))
    assert wrong.returncode == 1
    assert "The schema register was not migrated" in wrong.stderr
    assert PASSWORD not in wrong.stderr
    del fresh["profile"]
    assert "HAVN_PROFILE_DATABASE_URL" in run("migrate", env=environ(fresh)).stderr


async def test_an_address_that_is_none_is_named_and_not_shown(fresh, postgres):
    done = run("migrate", "profile", env=environ({"profile": "mysql://me:secret@db/tt02"}))
    assert done.returncode == 2
    assert "HAVN_PROFILE_DATABASE_URL is no address" in done.stderr
    assert "secret" not in done.stderr


async def test_a_server_that_is_away_is_told_after_the_wait(fresh, postgres):
    away = {
        api: urlunsplit(urlsplit(url)._replace(netloc="someone:secret@127.0.0.1:9", query=""))
        for api, url in fresh.items()
    }
    done = run("migrate", env=environ(away))
    assert done.returncode == 1
    assert "The database of authentication cannot be reached" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["storage", "more"], ["migrate", "unknown"]])
def test_what_cannot_be_started_is_answered_with_what_can(arguments, capsys):
    assert main(arguments) == 2
    assert "storage" in capsys.readouterr().err


async def test_one_api_runs_alone_waits_for_its_database_and_drains(make_database, tmp_path):
    url = await make_database("register")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    Path(secrets, "register-database-url").write_text(url)
    Path(secrets, "platform-access-key").write_text(new_key())
    env = {
        "PATH": os.environ["PATH"], "HAVN_PORT": str(port), "HAVN_SECRETS_DIR": str(secrets),
        "HAVN_DOMAIN": "example.test", "HAVN_ENVIRONMENT_TYPE": "test", "HAVN_PLATFORM_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    process = start("register", env=env)
    assert process.stdout is not None
    # What it says of itself comes line by line: no need to ask again and again.
    for line in process.stdout:
        if b'"ready"' in line:
            break
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for path in ("/health", "/health/ready", "/register/api/v1/health"):
            assert client.get(path).status_code == 200
        assert client.get("/register/api/v1/internal/represented").status_code == 401
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.communicate()
