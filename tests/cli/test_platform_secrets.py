"""`havn platform secrets`: every key of an environment, written once."""

from __future__ import annotations

import stat
from urllib.parse import unquote, urlsplit

import msgspec
import pytest

from havn.cli.output import Failure
from havn.cli.platform_secrets import secrets
from havn.kit import settings
from havn.platform import APIS
from havn.platform.authentication.settings import Settings as AuthenticationSettings
from havn.platform.authentication.settings import read_providers
from havn.platform.secrets import COMPONENTS


def make(out, **more):
    wanted = {
        "environment": "tt02", "domain": "tt02.example.no", "database": "postgresql://db:5432/tt02?sslmode=require",
        "test_sign_in": True, "out": out,
    }  # fmt: skip
    secrets(**{**wanted, **more})
    return {
        item["metadata"]["name"]: item["stringData"] for item in msgspec.json.decode(out.read_bytes())["items"]
    }  # fmt: skip


def test_each_component_gets_its_own_secret_and_nobody_elses_key(tmp_path):
    found = make(tmp_path / "secrets.json")
    served = {*(api.name for api in APIS), "deploy", "egress", "login", "unknown"}
    assert set(found) == {
        *(f"tt02-{name}" for name in COMPONENTS), "tt02-login", "tt02-authority", "tt02-trust",
        *(f"tt02-{name}-tls" for name in served),
    }  # fmt: skip
    certificates = [found[f"tt02-{name}-tls"]["tls.key"] for name in served]
    assert len(set(certificates)) == len(served)
    private = [values["platform-access-key"] for values in found.values() if "platform-access-key" in values]
    assert len(set(private)) == len(COMPONENTS)
    public = msgspec.json.decode(found["tt02-storage"]["platform-jwks"])["keys"]
    assert {key["app"] for key in public} == set(COMPONENTS)
    assert all("d" not in key for key in public)
    assert "authentication-key-identity" not in found["tt02-storage"]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_the_files_are_what_the_apis_read(tmp_path):
    folder = tmp_path / "mounted"
    folder.mkdir()
    for name, value in make(tmp_path / "secrets.json")["tt02-authentication"].items():
        (folder / name).write_text(value)
    told = settings.load(
        AuthenticationSettings,
        {
            "HAVN_SECRETS_DIR": str(folder), "HAVN_DOMAIN": "tt02.example.no", "HAVN_ENVIRONMENT_TYPE": "test",
            "HAVN_PLATFORM_URL": "https://tt02-{api}", "HAVN_ORGS_FILE": "/mnt/orgs",
            "HAVN_AUTHENTICATION_KEY_FOLDER": "/k",
        },
    )  # fmt: skip
    provider = read_providers(told.authentication_providers).sign_in["idporten"]
    assert (provider.issuer, provider.address) == ("https://login.tt02.example.no", "https://tt02-login")


def test_every_api_has_a_role_and_a_password_of_its_own_that_no_other_environment_has(tmp_path):
    roles, passwords = set(), set()
    for environment in ("tt02", "at-22"):
        found = make(tmp_path / environment, environment=environment)
        for api in APIS:
            parts = urlsplit(found[f"{environment}-{api.name}"][f"{api.name}-database-url"])
            assert (parts.hostname, parts.port, parts.path, parts.query) == ("db", 5432, "/tt02", "sslmode=require")
            roles.add(parts.username)
            passwords.add(unquote(parts.password or ""))
    assert len(roles) == len(passwords) == 2 * len(APIS)
    assert "at_22_storage" in roles


def test_a_release_without_tls_gets_no_certificates_and_signs_in_without(tmp_path):
    found = make(tmp_path / "secrets.json", tls=False)
    assert [name for name in found if name.endswith(("-tls", "-trust", "-authority"))] == []
    providers = read_providers(found["tt02-authentication"]["authentication-providers"])
    assert providers.sign_in["idporten"].address == "http://tt02-login"


def test_the_control_plane_gets_a_database_of_its_own(tmp_path):
    found = make(tmp_path / "secrets.json", release="main", control_plane_database="postgresql://db/control")
    assert urlsplit(found["main-deploy"]["deploy-database-url"]).path == "/control"
    assert found["main-deploy"]["deploy-identities"].startswith("AGE-SECRET-KEY-")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"environment": "TT 02"}, "cannot name the environment"),
        ({"release": "a/b"}, "cannot name the release"),
        ({"test_sign_in": False}, "Say how people sign in"),
        ({"database": "mysql://db/tt02"}, "postgresql://HOST"),
        ({"database": "postgresql://me:secret@db/tt02"}, "without a user"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(tmp_path, more, says):
    with pytest.raises(Failure, match=says):
        make(tmp_path / "secrets.json", **more)
    assert not (tmp_path / "secrets.json").exists()


def test_a_list_of_providers_is_checked_and_its_secrets_are_not_shown(tmp_path):
    wrong = tmp_path / "providers.json"
    wrong.write_text('{"default": "idporten", "signIn": {}, "clientSecret": "hush"}')
    with pytest.raises(Failure) as refused:
        make(tmp_path / "secrets.json", test_sign_in=False, providers=wrong)
    assert "hush" not in str(refused.value)


def test_keys_in_use_are_never_written_over(tmp_path):
    out = tmp_path / "secrets.json"
    make(out)
    before = out.read_bytes()
    with pytest.raises(Failure, match="is there already"):
        make(out)
    assert out.read_bytes() == before
