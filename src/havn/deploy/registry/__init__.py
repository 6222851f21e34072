"""Where releases are kept: the port to an OCI registry (Distribution and Image specifications 1.1)."""

from havn.deploy.registry.model import Descriptor, Index, Manifest, digest_of
from havn.deploy.registry.port import NotInRegistry, Registry, RegistryError

__all__ = ["Descriptor", "Index", "Manifest", "NotInRegistry", "Registry", "RegistryError", "digest_of"]
