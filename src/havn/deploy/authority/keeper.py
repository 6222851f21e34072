"""The life of a cluster's authority: made when first needed, changed with overlap, so that nothing is ever refused.

A change goes in steps, each with time for every pod and the ingress to take up what was written before it. First the
new authority is believed beside the old one. Then it signs, and every certificate is made anew. Then the old one,
which has signed nothing that is still in use, is believed no more. An authority two thirds through its life is
changed by itself, as is a certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509

from havn.deploy.authority import certificates
from havn.deploy.authority.certificates import Pair
from havn.deploy.authority.store import AuthorityStore, Row
from havn.deploy.sealing import Sealed, Sealer
from havn.kit.clock import Clock
from havn.kit.problem import Problem

AUTHORITY_LIFE = timedelta(days=5 * 365)
LEAF_LIFE = timedelta(days=30)
# The kubelet looks at its volumes every minute or so, and processes at their files every few seconds.
TAKEN_UP = timedelta(minutes=10)


class Keeper:
    """The authorities of all clusters."""

    def __init__(self, store: AuthorityStore, sealer: Sealer, clock: Clock, *, taken_up: timedelta = TAKEN_UP) -> None:
        """`taken_up` is how long everything in a cluster may take to notice a Secret that has changed."""
        self.store = store
        self._sealer = sealer
        self._clock = clock
        self._taken_up = taken_up

    async def bundle(self, environment: str, org: str) -> str:
        """The certificates that are believed in the cluster, PEM. Raises `SealError` when one must be made."""
        return "".join(each.certificate for each in await self._rows(environment, org))

    async def signer(self, environment: str, org: str) -> str:
        """The certificate of the authority that signs, PEM."""
        return _signing(await self._rows(environment, org)).certificate

    async def issue(self, environment: str, org: str, names: Sequence[str]) -> Pair:
        """A server's certificate for these DNS names. Raises `SealError`."""
        row = _signing(await self._rows(environment, org))
        assert row.sealed is not None
        signer = Pair(row.certificate, self._sealer.open(_place(row.environment, row.org, row.number), row.sealed))
        return certificates.leaf(signer, names, self._clock(), LEAF_LIFE)

    async def rotate(self, environment: str, org: str) -> None:
        """Begin to change the authority. Raises a 409 `Problem` while another change is under way."""
        await self._rows(environment, org)
        if not await self._make(environment, org, "coming"):
            raise Problem(
                409, "The cluster's authority is being changed already: wait until that has ended.", code="rotating"
            )

    async def advance(self, environment: str, org: str) -> bool:
        """Take the next step of a change when it is time; whether a change is under way still."""
        rows = await self._rows(environment, org)
        now = self._clock()
        coming = next((each for each in rows if each.state == "coming"), None)
        leaving = next((each for each in rows if each.state == "leaving"), None)
        if coming is not None and now - coming.since >= self._taken_up:
            await self.store.promote(environment, org, now)
        elif leaving is not None and now - leaving.since >= self._taken_up:
            await self.store.drop_leaving(environment, org)
            return False
        elif coming is None and leaving is None and due(_signing(rows).certificate, now):
            return await self._make(environment, org, "coming")
        return coming is not None or leaving is not None

    async def rekey(self) -> int:
        """Seal anew whatever is sealed with another key than the first; how many. Raises `SealError`."""
        count = 0
        for row in await self.store.sealed_otherwise(self._sealer.key_id()):
            assert row.sealed is not None
            place = _place(row.environment, row.org, row.number)
            await self.store.seal_anew(row, self._sealer.seal(place, self._sealer.open(place, row.sealed)))
            count += 1
        return count

    async def _rows(self, environment: str, org: str) -> list[Row]:
        while not (rows := await self.store.all(environment, org)):
            await self._make(environment, org, "signing")
        return rows

    async def _make(self, environment: str, org: str, state: str) -> bool:
        now = self._clock()

        def make(number: int) -> tuple[str, Sealed]:
            pair = certificates.authority(f"{org} {environment} {number}", now, AUTHORITY_LIFE)
            return pair.certificate, self._sealer.seal(_place(environment, org, number), pair.key)

        return await self.store.add(environment, org, "coming" if state == "coming" else "signing", make, now)


def due(certificate: str, now: datetime) -> bool:
    """Whether two thirds of a certificate's life are over."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    begun, until = found.not_valid_before_utc, found.not_valid_after_utc
    return now >= begun + (until - begun) * 2 / 3


def _signing(rows: Sequence[Row]) -> Row:
    return next(each for each in rows if each.state == "signing")


def _place(environment: str, org: str, number: int) -> str:
    return f"authority {number} of {org} in {environment}"
