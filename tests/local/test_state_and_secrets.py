"""The state folder and the secrets in it: private, encrypted, and a plain sentence for whatever is wrong."""

import os
import socket
import stat
import subprocess
import sys

import pytest

from havn.local.environment import Keys, kept_port
from havn.local.logs import LogFile, last_lines
from havn.local.secrets import SecretsError, SecretStore, write_folder
from havn.local.state import State, StateError


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "secrets").mkdir()
    return SecretStore(tmp_path / "secrets")


def test_folders_with_secrets_are_closed_to_others(tmp_path):
    state = State(tmp_path / ".havn")
    state.prepare()
    state.prepare()
    assert {mode(folder) for folder in (state.secrets, state.run, state.logs, state.blobs)} == {0o700}


def test_a_second_platform_on_the_same_folder_is_told_who_has_it(tmp_path):
    first, second = State(tmp_path), State(tmp_path)
    first.prepare()
    first.lock()
    assert second.holder() == os.getpid()
    with pytest.raises(StateError, match=rf"already runs from .* \(process {os.getpid()}\)"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_folder_of_a_newer_havn_is_left_alone(tmp_path):
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(StateError, match="made by a newer Havn"):
        State(tmp_path).prepare()
    with pytest.raises(StateError, match="made by a newer Havn"):
        State(tmp_path).inspect()
    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_a_damaged_or_foreign_folder_is_named(tmp_path):
    (tmp_path / "version").write_text("one\n")
    with pytest.raises(StateError, match="is damaged"):
        State(tmp_path).prepare()
    (tmp_path / "version").unlink()
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(StateError, match="does not say which Havn made it"):
        State(tmp_path).prepare()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "state").write_text("x")
    with pytest.raises(StateError, match="is in the way"):
        State(tmp_path / "state").prepare()
    with pytest.raises(StateError, match="is in the way"):
        State(tmp_path / "state").inspect()


def test_a_folder_of_root_is_explained_to_others(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    place = tmp_path / "state"
    State(place).prepare()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    code = (
        "import os, sys; from pathlib import Path; from havn.local.state import State, StateError; os.setuid(65534)\n"
        "try: State(Path(sys.argv[1])).prepare()\n"
        "except StateError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True).stdout
    assert "belongs to somebody else" in said
    assert "chown" in said


def test_a_secret_is_made_once_kept_encrypted_and_found_by_other_processes(store, tmp_path):
    first = store.get("database/storage")
    assert len(first) >= 40
    assert store.get("database/storage") == first
    other = SecretStore(tmp_path / "secrets")
    assert other.get("database/storage") == first
    # Both were open: neither forgets what the other has stored meanwhile.
    store.put("a", "1")
    other.put("b", "2")
    assert (store.find("b"), other.find("a")) == ("2", "1")
    store.remove("a")
    assert SecretStore(tmp_path / "secrets").find("a") is None
    raw = (tmp_path / "secrets" / "secrets.age").read_bytes()
    assert raw.startswith(b"age-encryption.org/")
    assert first.encode() not in raw
    assert {mode(tmp_path / "secrets" / name) for name in ("secrets.age", "identity")} == {0o600}


def test_secrets_without_their_identity_are_not_replaced_by_new_ones(store, tmp_path):
    store.get("x")
    (tmp_path / "secrets" / "identity").unlink()
    with pytest.raises(SecretsError, match="restore it from a backup"):
        SecretStore(tmp_path / "secrets")


def test_secrets_of_another_identity_are_not_opened(store, tmp_path):
    store.get("x")
    (tmp_path / "other").mkdir()
    SecretStore(tmp_path / "other").get("y")
    (tmp_path / "secrets" / "identity").write_bytes((tmp_path / "other" / "identity").read_bytes())
    with pytest.raises(SecretsError, match="cannot be opened"):
        SecretStore(tmp_path / "secrets")


def test_a_folder_of_secret_files_holds_exactly_what_was_asked(tmp_path):
    write_folder(tmp_path / "s", {"a": "1", "b": "2"})
    write_folder(tmp_path / "s", {"b": "3"})
    assert {path.name: path.read_text() for path in (tmp_path / "s").iterdir()} == {"b": "3"}
    assert (mode(tmp_path / "s"), mode(tmp_path / "s" / "b")) == (0o700, 0o600)


def test_an_environments_keys_are_the_same_at_the_next_start(store, tmp_path):
    keys = Keys.open(store)
    assert Keys.open(SecretStore(tmp_path / "secrets")) == keys
    assert '"d"' not in keys.platform.public()


def test_a_log_is_rotated_and_read_back_across_the_files(tmp_path):
    log = LogFile(tmp_path / "app.log", max_bytes=2000)
    for number in range(300):
        log.write("app-1", f"line {number}")
    log.close()
    assert {path.name for path in tmp_path.iterdir()} == {"app.log", "app.log.1", "app.log.2", "app.log.3"}
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    read = last_lines(tmp_path / "app.log", 30)
    assert [line.text for line in read] == [f"line {number}" for number in range(270, 300)]
    assert {line.replica for line in read} == {"app-1"}


def test_a_kept_port_is_taken_again_unless_somebody_holds_it(tmp_path):
    path = tmp_path / "console.port"
    first = kept_port(path)
    assert kept_port(path) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        second = kept_port(path)
    assert second != first
    assert kept_port(path) == second
    path.write_text("no number")
    assert kept_port(path) > 1023
