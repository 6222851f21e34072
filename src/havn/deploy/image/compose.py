"""An app's image: the layers of a base image by digest, then those of a release; the same two give the same image."""

from __future__ import annotations

import msgspec

from havn.deploy.image.model import CONFIG, ImageConfig, RootFilesystem
from havn.deploy.image.transfer import Place, move
from havn.deploy.registry import Descriptor, Manifest, NotInRegistry
from havn.deploy.registry.model import MANIFEST, encode
from havn.deploy.release.model import APP_ROOT, DEPENDENCIES_ROOT, Release, ReleaseConfig, ReleaseError


async def compose(base: Place, base_digest: str, release: Release, source: Place, target: Place) -> Descriptor:
    """Put an app's image together in `target` and return its manifest's descriptor.

    `base_digest` names the base image in `base`, `release` lies in `source`. Only layers that `target` lacks are moved.
    Raises `ReleaseError` when base and release do not fit each other, and `RegistryError`.
    """
    try:
        _, below = await base.registry.manifest(base.repository, base_digest)
    except NotInRegistry:
        raise ReleaseError(
            f"There is no base image {base_digest} in {base.repository}: `havn image build runtime --push` makes one."
        ) from None
    _, above = await source.registry.manifest(source.repository, release.digest)
    config = _decode(await base.registry.read(base.repository, below.config), ImageConfig, base_digest)
    _check_fit(config, release.config)
    for place, layers in ((base, below.layers), (source, above.layers)):
        await move(place, layers, target)
    settings = msgspec.structs.replace(
        config.config,
        env=(*config.config.env, f"HAVN_APP_FOLDER=/{APP_ROOT}", f"HAVN_DEPENDENCIES=/{DEPENDENCIES_ROOT}"),
        labels={
            **config.config.labels,
            **release.config.labels,
            "havn.base": base_digest,
            "havn.release": release.digest,
        },
    )
    diffs = (*config.rootfs.diff_ids, *release.config.diff_ids)
    image = msgspec.structs.replace(config, config=settings, rootfs=RootFilesystem("layers", diffs))
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=await target.registry.put(target.repository, encode(image), CONFIG),
        layers=(*below.layers, *above.layers),
        annotations=settings.labels,
    )
    return await target.registry.put_manifest(target.repository, manifest)


def _check_fit(base: ImageConfig, release: ReleaseConfig) -> None:
    version = base.config.labels.get("havn.version")
    if base.config.labels.get("havn.image") != "runtime" or version is None:
        raise ReleaseError("The base image is not a Havn runtime: make one with `havn image build runtime`.")
    if not release.runtime.holds(version):
        raise ReleaseError(
            f"The release was made for runtimes from {release.runtime.minimum} and before {release.runtime.below}, "
            f"and the base image has {version}: build the release anew, or choose another base."
        )


def _decode(data: bytes, type_: type[ImageConfig], digest: str) -> ImageConfig:
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.MsgspecError as error:
        raise ReleaseError(f"The base image {digest} has no readable config: {error}.") from None
