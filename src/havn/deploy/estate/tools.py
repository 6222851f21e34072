"""What clusters are worked on with, from settings: Helm, the charts, and a registry for images."""

from __future__ import annotations

import re
import shutil
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import havn
from havn.clusters.kubernetes import Image
from havn.clusters.port import ClusterError
from havn.deploy.estate.clusters import ImageSource, Tools
from havn.deploy.image.delivery import Delivery
from havn.deploy.image.transfer import Place
from havn.deploy.registry import Registry
from havn.deploy.registry.remote import Credentials, RemoteRegistry
from havn.deploy.settings import ToolSettings
from havn.kit.http import HttpClient
from havn.kit.settings import SettingsError

_IMAGE = re.compile(r"(?P<repository>[a-z0-9][a-z0-9._/-]{0,199})@(?P<digest>sha256:[0-9a-f]{64})")
_INSTALLED = Path("/usr/share/havn/charts")


class NoImages:
    """Stands where there is no registry, and says so to whoever needs one."""

    async def base(self) -> Image:
        """See `ImageSource.base`."""
        raise ClusterError(
            "There is no registry for images: set HAVN_REGISTRY_URL and HAVN_RUNTIME_IMAGE for the control plane."
        )

    async def image(self, org: str, app: str, release: str, base: str | None = None) -> Image:
        """See `Images.image`."""
        return await self.base()


def connect(settings: ToolSettings) -> tuple[RemoteRegistry, HttpClient] | None:
    """The registry that the settings name, and the client to close; None without one. Raises `SettingsError`."""
    if not settings.registry_url:
        return None
    parts = urlsplit(settings.registry_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise SettingsError("HAVN_REGISTRY_URL is https://HOST or http://HOST:PORT.")
    try:
        authority = settings.registry_authority
        verify = ssl.create_default_context(cafile=authority) if authority else True
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"HAVN_REGISTRY_AUTHORITY cannot be used: {error}.") from None
    client = HttpClient(settings.registry_url.rstrip("/"), name="The registry", timeout=60, verify=verify)
    user = settings.registry_user
    credentials = Credentials(user, settings.registry_password) if user else None
    return RemoteRegistry(client, prefix=settings.registry_prefix, credentials=credentials), client


def make(settings: ToolSettings, *, run: Path, releases: Registry | None, target: Registry | None) -> Tools:
    """The tools. `releases` holds releases, `target` takes images. Raises `SettingsError`."""
    helm = shutil.which(settings.helm)
    return Tools(
        helm=Path(helm) if helm is not None else None,
        charts=Path(settings.charts) if settings.charts else _charts(),
        images=_Images(settings, releases, target) if releases is not None and target is not None else _none,
        run=run,
    )


class _Images:
    def __init__(self, settings: ToolSettings, releases: Registry, target: Registry) -> None:
        match = _IMAGE.fullmatch(settings.runtime_image)
        if match is None:
            raise SettingsError("HAVN_RUNTIME_IMAGE is REPOSITORY@sha256:…, as `havn image build runtime` prints it.")
        self._name = settings.registry_name or urlsplit(settings.registry_url).netloc
        self._prefix = settings.registry_prefix.strip("/")
        self._releases = releases
        self._target = target
        self._base, self._digest = Place(target, match["repository"]), match["digest"]

    def __call__(self, address: str) -> ImageSource:
        name = address.rstrip("/") or "/".join(part for part in (self._name, self._prefix) if part)
        return Delivery(
            releases=self._releases, base=self._base, base_digest=self._digest, target=self._target, address=name
        )


def _none(address: str) -> ImageSource:
    return NoImages()


def _charts() -> Path:
    """Those of a checkout, or those that an image brings along."""
    checkout = Path(havn.__file__).parents[2] / "charts"
    return checkout if (checkout / "app" / "Chart.yaml").exists() else _INSTALLED
