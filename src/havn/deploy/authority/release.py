"""The authority of one release of charts/platform, which its operator keeps among the release's Secrets.

It signs a certificate for each component. A change of authority goes in the steps of a cluster's (see `keeper`), one
with each run of the command that renews the certificates: believed, then signing, then alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from havn.deploy.authority import certificates
from havn.deploy.authority.certificates import Pair
from havn.deploy.authority.keeper import AUTHORITY_LIFE, TAKEN_UP, due

LEAF_LIFE = timedelta(days=365)
"""Long, since nobody renews these but the operator."""
# In the order in which they are believed, and that of the Secret's keys.
_KEYS = ("tls.crt", "tls.key", "coming.crt", "coming.key", "leaving.crt", "since")


class Unreadable(ValueError):
    """What was kept is no authority; the message is a sentence."""


class Underway(ValueError):
    """The authority is being changed already; the message is a sentence."""


class ReleaseAuthority(msgspec.Struct, frozen=True):
    """The one that signs, and during a change the one to come or the one that leaves."""

    signing: Pair
    since: datetime
    """When the last step of a change was taken, or the first authority made."""
    coming: Pair | None = None
    leaving: str = ""
    """Certificate of the one that signed before."""

    def __repr__(self) -> str:
        return f"<ReleaseAuthority since {self.since:%Y-%m-%d}>"

    @classmethod
    def new(cls, release: str, now: datetime) -> ReleaseAuthority:
        """The first one of a release."""
        return cls(_make(release, now), now)

    @classmethod
    def read(cls, values: Mapping[str, str]) -> ReleaseAuthority:
        """From the values of its Secret. Raises `Unreadable`."""
        kept = {key: values.get(key, "") for key in _KEYS}
        try:
            signing, coming = (_pair(kept[f"{name}.crt"], kept[f"{name}.key"]) for name in ("tls", "coming"))
            since = datetime.fromisoformat(kept["since"])
            if kept["leaving.crt"]:
                x509.load_pem_x509_certificate(kept["leaving.crt"].encode())
        except (ValueError, TypeError):
            raise Unreadable("The Secret of the authority does not hold what was written into it.") from None
        if signing is None or since.tzinfo is None:
            raise Unreadable("The Secret of the authority does not hold what was written into it.")
        return cls(signing, since, coming, kept["leaving.crt"])

    def values(self) -> dict[str, str]:
        """What its Secret holds. Every key every time, so that applying it leaves nothing of the one before."""
        coming = self.coming or Pair("", "")
        return dict(
            zip(
                _KEYS,
                (
                    self.signing.certificate, self.signing.key, coming.certificate, coming.key, self.leaving,
                    self.since.isoformat(),
                ),
                strict=True,
            )
        )  # fmt: skip

    def bundle(self) -> str:
        """Every authority that is believed, PEM."""
        return self.signing.certificate + (self.coming.certificate if self.coming else "") + self.leaving

    def changing(self) -> bool:
        """Whether a change is under way."""
        return self.coming is not None or bool(self.leaving)

    def change(self, release: str, now: datetime) -> ReleaseAuthority:
        """Begin to change it. Raises `Underway`."""
        if self.changing():
            raise Underway("The authority is being changed already: wait until that has ended.")
        return msgspec.structs.replace(self, coming=_make(release, now), since=now)

    def advance(self, release: str, now: datetime) -> ReleaseAuthority:
        """After the next step of a change, when everything has had the time to take up the one before.

        One that is two thirds through its life begins to be changed.
        """
        if not self.changing():
            return self.change(release, now) if due(self.signing.certificate, now) else self
        if now - self.since < TAKEN_UP:
            return self
        if self.coming is not None:
            return ReleaseAuthority(self.coming, now, leaving=self.signing.certificate)
        return ReleaseAuthority(self.signing, now)

    def leaf(self, names: Sequence[str], now: datetime) -> Pair:
        """A server's certificate for these DNS names."""
        return certificates.leaf(self.signing, names, now, LEAF_LIFE)


def _make(release: str, now: datetime) -> Pair:
    return certificates.authority(f"Platform {release} {now:%Y-%m-%d}", now, AUTHORITY_LIFE)


def _pair(certificate: str, key: str) -> Pair | None:
    """Those two, which belong together; None when there are none. Raises ValueError, TypeError."""
    if not certificate and not key:
        return None
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if serialization.load_pem_private_key(key.encode(), None).public_key() != public:
        raise ValueError("another's key")
    return Pair(certificate, key)
