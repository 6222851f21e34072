"""The authority of a platform release: kept in a Secret, changed a step at a time, nothing refused meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from havn.deploy.authority.keeper import AUTHORITY_LIFE, TAKEN_UP
from havn.deploy.authority.release import LEAF_LIFE, ReleaseAuthority, Underway, Unreadable

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = ["tt02-authorization", "tt02-accessmanagement"]


def believed(authority: ReleaseAuthority, certificate: str, name: str = NAMES[0], at: datetime = NOW) -> bool:
    """Whether a client with the bundle takes the certificate for the name, by the rules of the web."""
    authorities = x509.load_pem_x509_certificates(authority.bundle().encode())
    verifier = PolicyBuilder().store(Store(authorities)).time(at).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])
    except VerificationError:
        return False
    return True


def kept(authority: ReleaseAuthority) -> ReleaseAuthority:
    """As it comes back from its Secret."""
    return ReleaseAuthority.read(authority.values())


def test_a_leaf_is_good_for_its_names_alone_for_a_year():
    authority = ReleaseAuthority.new("tt02", NOW)
    leaf = kept(authority).leaf(NAMES, NOW).certificate
    assert all(believed(authority, leaf, name) for name in NAMES)
    assert not believed(authority, leaf, "tt02-storage")
    assert not believed(authority, leaf, at=NOW + LEAF_LIFE + timedelta(days=1))
    assert not believed(ReleaseAuthority.new("tt02", NOW), leaf)
    assert "PRIVATE" not in repr(authority)


def test_at_each_step_of_a_change_what_the_step_before_made_is_believed():
    steps = [ReleaseAuthority.new("tt02", NOW)]
    steps.append(steps[-1].change("tt02", NOW))
    for number in (1, 2):
        steps.append(kept(steps[-1]).advance("tt02", NOW + number * TAKEN_UP))
    leaves = [each.leaf(NAMES, NOW).certificate for each in steps]
    for number in range(1, len(steps)):
        # Whoever is ahead and whoever is behind believe each other.
        assert believed(steps[number], leaves[number - 1])
        assert believed(steps[number - 1], leaves[number])
    assert [each.changing() for each in steps] == [False, True, True, False]
    assert not believed(steps[3], leaves[0])
    assert steps[3].signing == steps[1].coming
    # Applied over what was there, nothing of it stays.
    assert [set(each.values()) for each in steps] == [set(steps[0].values())] * len(steps)


def test_a_step_waits_until_the_one_before_is_taken_up_and_a_second_change_until_the_first_has_ended():
    changing = ReleaseAuthority.new("tt02", NOW).change("tt02", NOW)
    early = NOW + TAKEN_UP - timedelta(seconds=1)
    assert changing.advance("tt02", early) == changing
    signing = changing.advance("tt02", NOW + TAKEN_UP)
    assert signing.advance("tt02", early + TAKEN_UP) == signing
    for each in (changing, signing):
        with pytest.raises(Underway, match="wait until that has ended"):
            each.change("tt02", NOW)


def test_an_authority_two_thirds_through_its_life_is_changed_by_itself():
    authority = ReleaseAuthority.new("tt02", NOW)
    assert authority.advance("tt02", NOW + AUTHORITY_LIFE / 2) == authority
    assert authority.advance("tt02", NOW + AUTHORITY_LIFE * 0.7).changing()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls.key": ""}, {"tls.crt": "", "tls.key": ""}, {"tls.crt": "nothing"}, {"since": "yesterday"},
        {"since": "2026-11-21"}, {"leaving.crt": "nothing"},
        {"tls.key": ReleaseAuthority.new("other", NOW).values()["tls.key"]},
    ],
)  # fmt: skip
def test_what_is_no_authority_is_refused(wrong):
    with pytest.raises(Unreadable, match="does not hold"):
        ReleaseAuthority.read({**ReleaseAuthority.new("tt02", NOW).values(), **wrong})
