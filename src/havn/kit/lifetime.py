"""How long a certificate is good, and from when on somebody should be worried that nobody has renewed it."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

_MOST = timedelta(days=30)


class Lifetime(msgspec.Struct, frozen=True):
    """From when until when a certificate is good."""

    begun: datetime
    until: datetime

    @classmethod
    def of(cls, pem: bytes) -> Lifetime:
        """That of the first certificate in a PEM text. Raises ValueError when there is none."""
        # Whoever serves without a certificate does not load it.
        from cryptography import x509

        found = x509.load_pem_x509_certificate(pem)
        return cls(found.not_valid_before_utc, found.not_valid_after_utc)

    def ended(self, now: datetime) -> bool:
        """Whether nobody believes it any more."""
        return now >= self.until

    def overdue(self, now: datetime) -> bool:
        """Whether it ends soon: in a sixth of its life, and within 30 days.

        One that is renewed by itself is so at two thirds of its life, however short that is.
        """
        return self.until - now < min(_MOST, (self.until - self.begun) / 6)
