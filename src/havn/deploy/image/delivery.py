"""Getting an app's image to a cluster: made of the base image and the release, in a registry that its nodes reach."""

from __future__ import annotations

from havn.clusters.kubernetes.values import Image
from havn.clusters.port import ClusterError
from havn.deploy.image.compose import compose
from havn.deploy.image.transfer import Place, copy
from havn.deploy.registry import Registry, RegistryError
from havn.deploy.release.model import ReleaseError
from havn.deploy.release.open import find


class Delivery:
    """See `havn.clusters.kubernetes.Images`. An image is made again for nothing but the few bytes of its manifest."""

    def __init__(self, *, releases: Registry, base: Place, base_digest: str, target: Registry, address: str) -> None:
        """`releases` holds the releases; `target` takes the images, and the nodes know it as `address`."""
        self._releases = releases
        self._base = base
        self._base_digest = base_digest
        self._target = target
        self.address = address.rstrip("/")

    async def base(self) -> Image:
        """The base image itself, which also serves the parts of Havn that every cluster has. Raises `ClusterError`."""
        try:
            await copy(self._base, self._base_digest, Place(self._target, self._base.repository))
        except RegistryError as error:
            raise ClusterError(str(error)) from error
        return Image(f"{self.address}/{self._base.repository}", self._base_digest)

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        """See `havn.clusters.kubernetes.Images.image`."""
        repository, base = f"{org}/{app}", base or self._base_digest
        try:
            found = await find(self._releases, repository, release)
            made = await compose(
                self._base,
                base,
                found,
                Place(self._releases, repository),
                Place(self._target, repository),
            )
        except (ReleaseError, RegistryError) as error:
            raise ClusterError(str(error)) from error
        return Image(f"{self.address}/{repository}", made.digest, base)
