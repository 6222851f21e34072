"""Signing a release with its org's key, as `cosign` does it: a simple-signing payload, ECDSA P-256 over SHA-256.

The signature is a referrer of the release and has cosign's own tag too, so that either way of looking finds it. There
is no transparency log: who may sign for an org is a matter of the platform's list of keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from havn.deploy.registry.model import MANIFEST, Descriptor, Manifest, encode
from havn.deploy.registry.port import Registry
from havn.deploy.release.model import (
    SIGNATURE,
    SIGNATURE_ANNOTATION,
    SIGNED_PAYLOAD,
    ReleaseError,
)

_IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
_PAYLOAD_TYPE = "cosign container image signature"


class _Identity(msgspec.Struct, frozen=True):
    docker_reference: str = msgspec.field(name="docker-reference")


class _Image(msgspec.Struct, frozen=True):
    digest: str = msgspec.field(name="docker-manifest-digest")


class _Critical(msgspec.Struct, frozen=True):
    identity: _Identity
    image: _Image
    type: str


class _Payload(msgspec.Struct, frozen=True):
    critical: _Critical
    optional: dict[str, str] | None = None


class SigningKey:
    """An org's private key."""

    def __init__(self, pem: str) -> None:
        try:
            key = serialization.load_pem_private_key(pem.encode(), None)
        except (ValueError, TypeError) as error:
            raise ReleaseError("The signing key is not an unencrypted private key in PEM form.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ReleaseError("The signing key is not an ECDSA key on the curve P-256.")
        self._key = key

    @classmethod
    def generate(cls) -> str:
        """A new key as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def public(self) -> str:
        """The public key as PEM, as `cosign verify --key` takes it."""
        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, data: bytes) -> bytes:
        """A signature that is the same each time (RFC 6979), so that signing again adds nothing."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


async def sign(registry: Registry, repository: str, release: Descriptor, key: SigningKey) -> Descriptor:
    """Attach the org's signature to `release`; returns the signature's own descriptor."""
    payload = encode(_Payload(_Critical(_Identity(repository), _Image(release.digest), _PAYLOAD_TYPE)))
    layer = await registry.put(repository, payload, SIGNED_PAYLOAD)
    layer = msgspec.structs.replace(
        layer, annotations={SIGNATURE_ANNOTATION: base64.b64encode(key.sign(payload)).decode()}
    )
    config_bytes = encode({
        "architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer.digest]}
    })  # fmt: skip
    config = await registry.put(repository, config_bytes, _IMAGE_CONFIG)
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=SIGNATURE,
        config=config,
        layers=(layer,),
        subject=Descriptor(media_type=MANIFEST, digest=release.digest, size=release.size),
    )
    return await registry.put_manifest(repository, manifest, tag=f"{release.digest.replace(':', '-')}.sig")


async def verify(registry: Registry, repository: str, digest: str, keys: Sequence[str]) -> None:
    """Check that one of the public `keys` (PEM) has signed `digest` for `repository`. Raises `ReleaseError`."""
    found = await registry.referrers(repository, digest, SIGNATURE)
    if not found:
        raise ReleaseError(f"{repository}@{digest} is not signed.")
    public = [_public(pem) for pem in keys]
    for _, manifest in found[:20]:
        for layer in manifest.layers[:20]:
            if layer.media_type != SIGNED_PAYLOAD or SIGNATURE_ANNOTATION not in layer.annotations:
                continue
            payload = await registry.read(repository, layer)
            if any(_matches(payload, layer.annotations[SIGNATURE_ANNOTATION], key) for key in public) and _says(
                payload, repository, digest
            ):
                return
    raise ReleaseError(
        f"{repository}@{digest} is not signed with a key that is trusted for {repository.split('/', maxsplit=1)[0]}."
    )


def _public(pem: str) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ReleaseError("A trusted key is not an ECDSA key.")
    return key


def _matches(payload: bytes, signature: str, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), payload, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _says(payload: bytes, repository: str, digest: str) -> bool:
    try:
        critical = msgspec.json.decode(payload, type=_Payload).critical
    except msgspec.MsgspecError:
        return False
    # A reference may carry the host of the registry that it was signed in.
    reference = critical.identity.docker_reference
    return (
        critical.type == _PAYLOAD_TYPE
        and critical.image.digest == digest
        and (reference == repository or reference.endswith(f"/{repository}"))
    )
