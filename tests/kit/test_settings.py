"""Settings come from the environment and a folder of secrets, and say which one is wrong."""

from __future__ import annotations

import msgspec
import pytest

from havn.kit.settings import SettingsError, load


class Settings(msgspec.Struct, frozen=True):
    platform_url: str
    port: int
    signing_key: str = "none"


def test_values_come_from_the_environment_and_secrets_from_files(tmp_path):
    (tmp_path / "signing-key").write_text("s3cret\n")
    environ = {"HAVN_PLATFORM_URL": "http://x", "HAVN_PORT": "8000", "HAVN_SECRETS_DIR": str(tmp_path)}
    assert load(Settings, environ) == Settings("http://x", 8000, "s3cret")


def test_every_missing_setting_is_named():
    with pytest.raises(SettingsError, match=r"HAVN_PLATFORM_URL, HAVN_PORT"):
        load(Settings, {})


def test_a_wrong_type_names_the_setting():
    with pytest.raises(SettingsError, match="port"):
        load(Settings, {"HAVN_PLATFORM_URL": "http://x", "HAVN_PORT": "many"})
