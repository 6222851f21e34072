"""Real Kubernetes clusters on this machine, several side by side, for tests and `havn cluster create --local`.

Each cluster is the real components as plain processes in a network namespace, a cgroup and a containerd of its own:
no container engine and no virtual machine. The programs come from `toolchain/`; who has a cluster needs none of this.
"""

from havn.local.kubernetes.cluster import ClusterError, LocalKubernetes, sweep
from havn.local.kubernetes.toolchain import Toolchain, ToolchainError

__all__ = ["ClusterError", "LocalKubernetes", "Toolchain", "ToolchainError", "sweep"]
