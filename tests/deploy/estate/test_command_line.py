"""The command line with a control plane elsewhere: signing in, roles, tokens, and which control plane is meant."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from havn.cli.console import address, choose
from havn.cli.output import Failure
from havn.deploy.authority import certificates
from havn.kit.serve import serve
from havn.kit.tls import TlsServer
from havn.local.environment import free_port

BIN = Path(sys.executable).with_name("havn")


@pytest.fixture
async def where(plane) -> AsyncIterator[str]:
    """The control plane on a loopback port."""
    port, stop = free_port(), asyncio.Event()
    serving = asyncio.create_task(serve(plane.app, port=port, stop=stop))
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await serving


class Machine:
    """Somebody's machine, with its own configuration folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {**os.environ, "XDG_CONFIG_HOME": str(home), "NO_COLOR": "1", "HAVN_STATE": str(home / "none")}
        self.environ.pop("HAVN_CONSOLE", None)
        self.environ.pop("HAVN_TOKEN", None)

    async def havn(self, *arguments: str, ok: bool = True, **environ: str) -> str:
        process = await self.begin(*arguments, **environ)
        out, err = await process.communicate()
        assert (process.returncode == 0) == ok, out.decode() + err.decode()
        assert b"Traceback" not in err
        return (out if ok else err).decode()

    async def begin(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(BIN), *arguments, env={**self.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    async def login(self, plane, where: str, person: str) -> None:
        process = await self.begin("login", where)
        assert process.stderr is not None
        told = ""
        while (code := re.search(r"[A-Z]{4}-[A-Z]{4}", told)) is None:
            line = await process.stderr.readline()
            assert line, told
            told += line.decode()
        assert await plane.sign_in.confirm(code[0], person) == 200
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert f"Signed in to {where}" in out.decode()


async def test_one_signs_in_gives_a_role_makes_a_token_and_signs_out(plane, where, tmp_path):
    people = await plane.sign_in.people()
    chief, kari = Machine(tmp_path / "chief"), Machine(tmp_path / "kari")
    assert "havn login" in await chief.havn("whoami", "--console", where, ok=False)
    await chief.login(plane, where, people[0])
    kept = chief.home / "havn" / "logins.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    await kari.login(plane, where, people[1])
    assert "lacks the role look for any org" in await kari.havn("org", "list", "--console", where, ok=False)
    subject = json.loads(await kari.havn("whoami", "--json", HAVN_CONSOLE=where))["subject"]
    await chief.havn("access", "grant", subject, "deploy", "--org", "ttd", HAVN_CONSOLE=where)
    await chief.havn("org", "add", "ttd", HAVN_CONSOLE=where)
    assert [each["org"] for each in json.loads(await kari.havn("org", "list", "--json", HAVN_CONSOLE=where))] == ["ttd"]
    assert "lacks the role administer for" in await kari.havn(
        "ci-token", "create", "x", "--org", "ttd", HAVN_CONSOLE=where, ok=False
    )
    token = (await chief.havn("ci-token", "create", "CI", "--org", "ttd", HAVN_CONSOLE=where)).strip()
    machine = Machine(tmp_path / "machine")
    assert json.loads(await machine.havn("ps", "--json", HAVN_CONSOLE=where, HAVN_TOKEN=token)) == []
    assert "not valid or has ended" in await machine.havn("ps", HAVN_CONSOLE=where, HAVN_TOKEN="wrong", ok=False)
    before = json.loads(kept.read_text())[where]["token"]
    await chief.havn("logout")
    assert json.loads(kept.read_text()) == {}
    assert (await plane.call("GET", "/whoami", before)).status_code == 401
    assert "Nobody is signed in" in await chief.havn("whoami", HAVN_CONSOLE=where, ok=False)


async def test_the_key_that_builds_here_are_signed_with_is_trusted_without_a_file(plane, where, tmp_path):
    chief = Machine(tmp_path / "chief")
    await chief.login(plane, where, (await plane.sign_in.people())[0])
    told = {"HAVN_CONSOLE": where, "HAVN_STATE": str(tmp_path / "state")}
    await chief.havn("org", "add", "ttd", **told)
    assert "has no key of ttd: build a release there first" in await chief.havn("org", "trust", "ttd", ok=False, **told)
    assert not (tmp_path / "state").exists()
    await chief.havn("new", "ttd/first", "--into", str(tmp_path / "first"), **told)
    await chief.havn("build", str(tmp_path / "first"), **told)
    await chief.havn("org", "trust", "ttd", **told)
    [org] = json.loads(await chief.havn("org", "list", "--json", **told))
    assert len(org["keys"]) == 1


async def test_an_environments_key_is_found_in_the_file_that_its_platform_was_made_with(plane, where, tmp_path):
    chief = Machine(tmp_path / "chief")
    await chief.login(plane, where, (await plane.sign_in.people())[0])
    made = tmp_path / "secrets.json"
    await chief.havn(
        "platform", "secrets", "--environment", "tt02", "--domain", "tt02.example.no", "--test-sign-in",
        "--database", "postgresql://db.example.no:5432/tt02", "--out", str(made),
    )  # fmt: skip
    add = ("environment", "add", "tt02", "--type", "test", "--domain", "tt02.example.no", "--json")
    assert json.loads(await chief.havn(*add, HAVN_CONSOLE=where))["hasKey"] is False
    assert json.loads(await chief.havn(*add, "--key", str(made), HAVN_CONSOLE=where))["hasKey"] is True
    other = tmp_path / "other.json"
    other.write_text('{"kind": "List", "items": []}')
    said = await chief.havn(*add, "--key", str(other), HAVN_CONSOLE=where, ok=False)
    assert "does not hold the one Secret RELEASE-deploy" in said


async def test_a_certificate_of_ones_own_authority_is_believed_when_its_file_is_named(plane, tmp_path):
    now = datetime.now(UTC)
    authority = certificates.authority("Ours", now, timedelta(days=1))
    leaf = certificates.leaf(authority, ["localhost"], now, timedelta(days=1))
    served, believed = tmp_path / "tls", tmp_path / "ca.pem"
    served.mkdir()
    (served / "tls.crt").write_text(leaf.certificate)
    (served / "tls.key").write_text(leaf.key)
    believed.write_text(authority.certificate)
    port, stop = free_port(), asyncio.Event()
    server = TlsServer(plane.app, served, host="127.0.0.1", port=port)
    serving = asyncio.create_task(server.serve(stop))
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            break
    machine, told = Machine(tmp_path), {"HAVN_CONSOLE": f"https://localhost:{port}", "HAVN_TOKEN": "wrong"}
    try:
        assert "not valid or has ended" in await machine.havn("ps", ok=False, SSL_CERT_FILE=str(believed), **told)
        said = await machine.havn("ps", ok=False, **told)
    finally:
        stop.set()
        await serving
    assert "certificate is not believed here" in said
    assert "SSL_CERT_FILE" in said


async def test_without_a_name_a_command_means_the_platform_of_the_state_folder(tmp_path):
    said = await Machine(tmp_path).havn("ps", ok=False)
    assert "No platform runs from" in said


def test_the_control_plane_is_named_anywhere_in_a_command_but_not_in_another_programs_words(monkeypatch):
    monkeypatch.setenv("HAVN_CONSOLE", "")
    assert choose(["ps", "--console", "https://a.no", "--json"]) == ["ps", "--json"]
    assert os.environ["HAVN_CONSOLE"] == "https://a.no"
    assert choose(["--console=https://b.no", "ps"]) == ["ps"]
    assert os.environ["HAVN_CONSOLE"] == "https://b.no"
    assert choose(["exec", "ttd/a", "--", "x", "--console", "c"]) == ["exec", "ttd/a", "--", "x", "--console", "c"]
    assert os.environ["HAVN_CONSOLE"] == "https://b.no"


def test_a_token_is_never_sent_in_clear_over_a_network():
    assert address("console.example.no/") == "https://console.example.no"
    assert address("http://console.havn.localhost:8000") == "http://console.havn.localhost:8000"
    for wrong, says in (
        ("http://console.example.no", "in clear"),
        ("ftp://x.no", "not a control plane's address"),
        ("https://user@x.no", "not a control plane's address"),
    ):
        with pytest.raises(Failure, match=says):
            address(wrong)
