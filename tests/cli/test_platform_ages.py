"""`havn platform check-certificates`: what has to be renewed is told, from what kubectl gives."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from havn.cli.output import Failure
from havn.cli.platform_ages import check_certificates
from havn.cli.platform_certificates import certificate_secrets
from havn.deploy.authority.release import ReleaseAuthority


@pytest.fixture
def listed(tmp_path):
    """`listed(age)`: the Secrets of a release whose certificates were made so long ago, as kubectl gives them."""

    def write(age: timedelta) -> Path:
        then = datetime.now(UTC) - age
        made = certificate_secrets("tt02", ReleaseAuthority.new("tt02", then), then)
        items = [
            {
                "kind": "Secret",
                "metadata": each["metadata"],
                "data": {key: base64.b64encode(value.encode()).decode() for key, value in each["stringData"].items()},
            }
            for each in made
        ]
        # Others of the namespace: of another release, and one whose values are no text.
        items += [
            {"kind": "Secret", "metadata": {"name": "at22-storage-tls"}, "data": {"tls.crt": "eA=="}},
            {"kind": "Secret", "metadata": {"name": "tt02-storage"}, "data": {"binary": "/w=="}},
        ]
        out = tmp_path / "listed.json"
        out.write_bytes(msgspec.json.encode({"kind": "List", "items": items}))
        return out

    return write


def test_each_certificate_is_told_with_how_long_it_is_good(listed, capsys):
    check_certificates(release="tt02", secrets=listed(timedelta(days=30)), json_=True)
    ages = {each["secret"]: each for each in msgspec.json.decode(capsys.readouterr().out)}
    assert "tt02-storage-tls" in ages
    assert {(each["days"], each["state"]) for name, each in ages.items() if name.endswith("-tls")} == {(334, "good")}
    # The authorities of five years, of which nobody gets the key.
    assert {name for name, each in ages.items() if each["days"] > 1700} == {"tt02-trust", "tt02-authority"}


@pytest.mark.parametrize(("age", "state"), [(340, "ends soon"), (366, "ended")])
def test_what_nobody_has_renewed_is_told_first_and_ends_the_command_with_an_error(listed, capsys, age, state):
    with pytest.raises(Failure, match=r"have to be renewed now: run `havn platform certificates --release tt02`"):
        check_certificates(release="tt02", secrets=listed(timedelta(days=age)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0].endswith("-tls")
    assert lines[1].endswith(state)
    assert lines[-1].endswith("good")


def test_a_file_without_the_releases_certificates_is_told(listed, tmp_path):
    with pytest.raises(Failure, match="no certificate of the release tt03"):
        check_certificates(release="tt03", secrets=listed(timedelta()))
    with pytest.raises(Failure, match="get it with `kubectl get secrets -o json`"):
        (tmp_path / "wrong").write_text("x")
        check_certificates(release="tt02", secrets=tmp_path / "wrong")
    with pytest.raises(Failure, match="at22-storage-tls holds something that is no certificate"):
        check_certificates(release="at22", secrets=with_rubbish(tmp_path))


def with_rubbish(folder: Path) -> Path:
    text = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").decode()
    item = {"kind": "Secret", "metadata": {"name": "at22-storage-tls"}, "data": {"tls.crt": text}}
    (folder / "rubbish.json").write_bytes(msgspec.json.encode({"kind": "List", "items": [item]}))
    return folder / "rubbish.json"
