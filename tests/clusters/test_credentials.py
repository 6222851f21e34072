"""Kubeconfigs as people have them: what is taken from one, and what is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import yaml

from havn.clusters.kubernetes import certificates
from havn.clusters.kubernetes.credentials import Credentials, read_kubeconfig
from havn.clusters.port import ClusterError
from havn.deploy.authority.certificates import authority


def certificate(days: float = 365) -> tuple[str, str]:
    """Good for so many days from now, and its key."""
    made = authority("test", datetime.now(UTC) - timedelta(days=400), timedelta(days=400 + days))
    return made.certificate, made.key


PEM, KEY = certificate()


def config(user: dict[str, Any], cluster: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "apps"}},
            {"name": "two", "context": {"cluster": "c", "user": "other"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.no:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}, {"name": "other", "user": {"token": "second"}}],
        **more,
    }


@pytest.fixture
def write(tmp_path):
    def run(document: Any) -> Any:
        path = tmp_path / "kubeconfig"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return path

    return run


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_token_and_an_authority_are_taken_from_the_current_context(write):
    found, namespace = read_kubeconfig(write(config({"token": "first"}, {"certificate-authority-data": b64(PEM)})))
    assert found == Credentials(server="https://api.example.no:6443", authority=PEM, token="first")
    assert namespace == "apps"
    assert "first" not in repr(found)


def test_another_context_is_taken_when_it_is_named(write):
    found, namespace = read_kubeconfig(write(config({"token": "first"})), "two")
    assert (found.token, namespace) == ("second", "default")


def test_with_a_token_of_its_own_only_the_address_is_taken(write):
    program = {"exec": {"command": "get-token"}}
    document = config(program, {"certificate-authority-data": b64(PEM)})
    found, namespace = read_kubeconfig(write(document), token="given")
    assert found == Credentials(server="https://api.example.no:6443", authority=PEM, token="given")
    assert namespace == "apps"


def test_files_are_read_in_from_beside_the_kubeconfig(write, tmp_path):
    for name, text in (("ca.pem", PEM), ("client.pem", PEM), ("client.key", KEY)):
        (tmp_path / name).write_text(text)
    user = {"client-certificate": "client.pem", "client-key": "client.key"}
    found, _ = read_kubeconfig(write(config(user, {"certificate-authority": "ca.pem"})))
    assert (found.authority, found.certificate, found.key) == (PEM, PEM, KEY)


def test_our_own_kubeconfig_is_private_and_names_its_own_files(tmp_path):
    credentials = Credentials(server="https://x.no", authority=PEM, certificate=PEM, key=KEY, server_name="y.no")
    path = credentials.write(tmp_path / "new")
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    back, _ = read_kubeconfig(path)
    assert back == credentials


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not YAML"),
        ("just text", "no clusters"),
        ("a: &a [*a]", "no clusters"),
        ("clusters: 5\ncontexts: 3\ncurrent-context: x", "has no context x: it has none"),
        (config({"token": "x"}, **{"current-context": ""}), "no current context"),
        (config({"token": "x"}, **{"current-context": "three"}), "has no context three: it has one, two"),
        (config({"token": "x"}, clusters=[]), "has no cluster c"),
        (config({"exec": {"command": "aws"}}), "from a program on your machine"),
        (config({"auth-provider": {"name": "oidc"}}), "from a program on your machine"),
        (config({"username": "a", "password": "b"}), "uses a password"),
        (config({}), "with a token, or with a client certificate"),
        (config({"token": "x"}, {"insecure-skip-tls-verify": True}), "does not check the server's certificate"),
        (config({"token": "x"}, {"server": "http://api.example.no"}), "must be https"),
        (config({"token": "x"}, {"certificate-authority": "none.pem"}), "cannot be read"),
        (config({"token": "x"}, {"certificate-authority-data": "&&&"}), "not base64"),
        (config({"token": "x"}, {"certificate-authority-data": b64("x")}), "not a PEM certificate"),
        (config({"client-certificate-data": b64(PEM)}), "belong together"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(write, document, says):
    with pytest.raises(ClusterError, match=says) as error:
        read_kubeconfig(write(document))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ClusterError, match=r"nowhere cannot be read: No such file"):
        read_kubeconfig(tmp_path / "nowhere")


def jwt(claims: Any) -> str:
    return f"x.{base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip('=')}.y"


@pytest.mark.parametrize(
    ("credentials", "result", "says"),
    [
        (Credentials(server="https://127.0.0.1:1", token="opaque"), "warning", "does not say when it ends"),
        (Credentials(server="https://127.0.0.1:1", token=jwt({"exp": 1})), "fail", "token ended on 1970-01-01"),
        (Credentials(server="https://127.0.0.1:1", token=jwt({"exp": 4e9})), "ok", "is good until 2096"),
        (Credentials(server="https://127.0.0.1:1", token=jwt({"exp": "x"})), "warning", "does not say"),
        (Credentials(server="https://127.0.0.1:1", token=jwt([])), "warning", "does not say"),
        (Credentials(server="https://127.0.0.1:1", certificate=certificate(5)[0], key="k"), "warning", "in 5 days"),
        (Credentials(server="https://127.0.0.1:1", certificate=certificate(-1)[0], key="k"), "fail", "ended on"),
        (Credentials(server="https://127.0.0.1:1", certificate=PEM, key="k"), "ok", "is good until"),
    ],
)
async def test_how_long_our_own_credentials_are_good_is_told(credentials, result, says):
    server, ours = await certificates.check(credentials, "", "", datetime.now(UTC))
    assert (server.result, "cannot be looked at" in server.message) == ("warning", True)
    assert ours.result == result
    assert says in ours.message
    assert ours.next or result == "ok"
