"""`havn platform certificates`: renewed with the authority that is in use, wherever it comes from."""

from __future__ import annotations

import base64
import io
import stat

import msgspec
import pytest

from havn.cli.output import Failure
from havn.cli.platform_certificates import certificates
from havn.cli.platform_secrets import secrets


@pytest.fixture
def installed(tmp_path):
    """The file of `havn platform secrets`."""
    out = tmp_path / "secrets.json"
    secrets(
        environment="tt02", domain="tt02.example.no", database="postgresql://db/tt02", test_sign_in=True, out=out
    )  # fmt: skip
    return out


def read(out):
    return {item["metadata"]["name"]: item["stringData"] for item in msgspec.json.decode(out.read_bytes())["items"]}


def from_kubernetes(values, name="tt02-authority"):
    """As `kubectl get secret -o json` gives it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})


def test_certificates_are_renewed_and_the_authority_stays(installed, tmp_path):
    certificates(release="tt02", authority=installed, out=tmp_path / "new.json")
    before, after = read(installed), read(tmp_path / "new.json")
    assert set(after) == {name for name in before if name.endswith(("-tls", "-trust", "-authority"))}
    assert after["tt02-trust"] == before["tt02-trust"]
    assert after["tt02-authority"] == before["tt02-authority"]
    assert after["tt02-storage-tls"] != before["tt02-storage-tls"]
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o600


def test_the_authority_is_changed_from_what_kubernetes_gives_and_through_pipes(
    installed, tmp_path, monkeypatch, capfdbinary
):
    (tmp_path / "given.json").write_bytes(from_kubernetes(read(installed)["tt02-authority"]))
    certificates(release="tt02", authority=tmp_path / "given.json", out=tmp_path / "new.json", change_authority=True)
    changing = read(tmp_path / "new.json")
    assert changing["tt02-trust"]["ca.crt"].count("BEGIN CERTIFICATE") == 2
    piped = io.TextIOWrapper(io.BytesIO(from_kubernetes(changing["tt02-authority"])))
    monkeypatch.setattr("sys.stdin", piped)
    certificates(release="tt02", authority=tmp_path.__class__("-"), out=tmp_path.__class__("-"))
    said = capfdbinary.readouterr()
    names = [item["metadata"]["name"] for item in msgspec.json.decode(said.out)["items"]]
    assert "tt02-login-tls" in names
    # Too early for the next step, and so it says which one it is at.
    assert b"Run this again after ten minutes, and it signs." in said.err


def test_a_release_without_an_authority_gets_one(tmp_path):
    certificates(release="tt02", out=tmp_path / "new.json")
    assert read(tmp_path / "new.json")["tt02-trust"]["ca.crt"].count("BEGIN CERTIFICATE") == 1


def test_what_cannot_be_used_is_refused_and_nothing_is_written(installed, tmp_path):
    out = tmp_path / "new.json"
    given = tmp_path / "given.json"
    for content, says in (
        (b"nothing", "is no Secret in JSON"),
        (b'{"kind":"List","items":[]}', "holds no Secret tt02-authority"),
        (from_kubernetes({}, "tt02-trust"), "holds no Secret tt02-authority"),
        (from_kubernetes({"tls.crt": "x"}), "does not hold what was written into it"),
        (b'{"kind":"Secret","metadata":{"name":"tt02-authority"},"data":{"tls.crt":"%"}}', "not text"),
    ):
        given.write_bytes(content)
        with pytest.raises(Failure, match=says):
            certificates(release="tt02", authority=given, out=out)
    with pytest.raises(Failure, match="cannot be read"):
        certificates(release="tt02", authority=tmp_path / "absent", out=out)
    with pytest.raises(Failure, match="cannot name the release"):
        certificates(release="A B", authority=installed, out=out)
    assert not out.exists()
    certificates(release="tt02", authority=installed, out=out)
    with pytest.raises(Failure, match="is there already"):
        certificates(release="tt02", authority=installed, out=out)
