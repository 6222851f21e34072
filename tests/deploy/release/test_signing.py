"""Signatures: as cosign makes and reads them, and refused when anything was changed."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from havn.deploy.registry.model import MANIFEST, Manifest
from havn.deploy.release.model import SIGNATURE, ReleaseError
from havn.deploy.release.open import find_trusted
from havn.deploy.release.signing import SigningKey, sign, verify


@pytest.fixture
def built(make, app_folder):
    return make(app_folder)


async def test_what_a_release_carries_is_a_cosign_signature(built, registry, key):
    """Verified by hand, following cosign's own specification, with nothing of ours."""
    digest = built.release.digest
    reference, by_tag = await registry.manifest("ttd/first", f"{digest.replace(':', '-')}.sig")
    [(by_referrer, manifest)] = await registry.referrers("ttd/first", digest, SIGNATURE)
    assert by_referrer.digest == reference.digest
    assert by_tag == manifest
    assert manifest.artifact_type == "application/vnd.dev.cosign.artifact.sig.v1+json"
    assert manifest.subject.digest == digest
    [layer] = manifest.layers
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = await registry.read("ttd/first", layer)
    document = json.loads(payload)
    assert document["critical"] == {
        "identity": {"docker-reference": "ttd/first"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    public = serialization.load_pem_public_key(key.public().encode())
    assert isinstance(public.curve, ec.SECP256R1)
    signature = base64.b64decode(layer.annotations["dev.cosignproject.cosign/signature"])
    public.verify(signature, payload, ec.ECDSA(hashes.SHA256()))


async def test_a_release_is_trusted_with_its_orgs_key_alone(built, registry, key):
    other = SigningKey(SigningKey.generate())
    found = await find_trusted(registry, "ttd/first", built.release.digest, [other.public(), key.public()])
    assert found.digest == built.release.digest
    with pytest.raises(ReleaseError, match="not signed with a key that is trusted for ttd"):
        await find_trusted(registry, "ttd/first", built.release.digest, [other.public()])
    with pytest.raises(ReleaseError, match="not signed with a key"):
        await find_trusted(registry, "ttd/first", built.release.digest, [])


async def test_an_unsigned_release_is_refused(built, registry, key):
    descriptor, manifest = await registry.manifest("ttd/first", built.release.digest)
    again = await registry.put_manifest(
        "ttd/first",
        Manifest(
            schema_version=2,
            media_type=MANIFEST,
            artifact_type=manifest.artifact_type,
            config=manifest.config,
            layers=manifest.layers,
            annotations={"another": "one"},
        ),
    )
    assert again.digest != descriptor.digest
    with pytest.raises(ReleaseError, match="is not signed"):
        await verify(registry, "ttd/first", again.digest, [key.public()])


async def test_a_signature_for_another_release_or_app_does_not_count(built, registry, key, app_folder, make):
    (app_folder / "more.json").write_text("{}")
    from havn.deploy.registry import Descriptor

    first = built.release.digest
    import asyncio

    second = await asyncio.to_thread(make, app_folder)
    [(_, signature)] = await registry.referrers("ttd/first", first, SIGNATURE)
    stolen = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        artifact_type=SIGNATURE,
        config=signature.config,
        layers=signature.layers,
        subject=Descriptor(media_type=MANIFEST, digest=second.release.digest, size=second.descriptor.size),
    )
    other = SigningKey(SigningKey.generate())
    await registry.put_manifest("ttd/first", stolen)
    await sign(registry, "ttd/first", second.descriptor, other)
    # The true signature of `second` is by `key`: without trust in it, the stolen one must not help.
    with pytest.raises(ReleaseError):
        await verify(registry, "ttd/first", second.release.digest, [SigningKey(SigningKey.generate()).public()])
    with pytest.raises(ReleaseError):
        await verify(registry, "ttd/other", second.release.digest, [key.public()])


def test_only_ecdsa_keys_on_p_256_sign():
    for private in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        with pytest.raises(ReleaseError, match="P-256"):
            SigningKey(pem)
    with pytest.raises(ReleaseError, match="PEM"):
        SigningKey("nonsense")
