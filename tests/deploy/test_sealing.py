"""What the control plane keeps secret, sealed with age."""

import pyrage
import pytest

from havn.deploy.sealing import FileIdentities, Sealed, Sealer, SealError
from havn.kit.problem import Problem


def identity():
    return str(pyrage.x25519.Identity.generate())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "identities"
    path.write_text(f"# made today\n{identity()}\n")
    return path


def test_what_is_sealed_can_be_opened_and_does_not_show(file):
    sealer = Sealer(FileIdentities(file))
    sealed = sealer.seal("tt02/ttd/first/token", "a planted value")
    assert b"planted" not in sealed.data
    assert sealer.open("tt02/ttd/first/token", sealed) == "a planted value"


def test_a_sealed_value_cannot_be_moved_to_another_place(file):
    sealer = Sealer(FileIdentities(file))
    sealed = sealer.seal("tt02/ttd/first/token", "x")
    with pytest.raises(SealError, match="another place"):
        sealer.open("tt02/ttd/second/token", sealed)


def test_a_new_first_identity_seals_and_the_old_one_still_opens(file):
    sealer = Sealer(FileIdentities(file))
    old = sealer.seal("a", "1")
    file.write_text(f"{identity()}\n{file.read_text()}")
    new = sealer.seal("a", "2")
    assert new.key_id == sealer.key_id() != old.key_id
    assert sealer.open("a", old) == "1"
    assert sealer.open("a", new) == "2"
    file.write_text(file.read_text().splitlines()[0])
    with pytest.raises(SealError, match=old.key_id):
        sealer.open("a", old)


def test_damage_and_missing_identities_are_told_in_a_sentence(file, tmp_path):
    sealer = Sealer(FileIdentities(file))
    sealed = sealer.seal("a", "1")
    with pytest.raises(SealError, match="damaged"):
        sealer.open("a", Sealed(sealed.key_id, sealed.data[:-1] + b"?"))
    with pytest.raises(SealError, match="cannot be read"):
        Sealer(FileIdentities(tmp_path / "none")).key_id()
    with pytest.raises(Problem) as refused:
        FileIdentities(file).renew()
    assert refused.value.status == 409
    secret = file.read_text().splitlines()[1]
    file.write_text(secret[:-3])
    with pytest.raises(SealError) as wrong:
        sealer.key_id()
    assert secret[20:40] not in str(wrong.value)
