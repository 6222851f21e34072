"""The keys of a local cluster: service accounts, the aggregation client, the administrator's token."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def make(folder: Path) -> str:
    """Write the keys into `folder`, readable by us alone; returns the administrator's token."""
    folder.mkdir(mode=0o700, parents=True)
    _write(folder / "service-accounts.key", _pem(rsa.generate_private_key(65537, 2048)))
    authority = ec.generate_private_key(ec.SECP256R1())
    client = ec.generate_private_key(ec.SECP256R1())
    _write(folder / "front-proxy-ca.crt", _certificate("front-proxy-ca", authority, "front-proxy-ca", authority))
    _write(folder / "front-proxy.crt", _certificate("front-proxy-client", client, "front-proxy-ca", authority))
    _write(folder / "front-proxy.key", _pem(client))
    token = secrets.token_hex(24)
    _write(folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n'.encode())
    return token


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> bytes:
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
