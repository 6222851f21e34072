"""Network namespaces for local clusters: one bridge on this machine, an address and two ranges per cluster, no way out.

A cluster has no default route. It reaches this machine and the other clusters over the bridge, and nothing else, which
is what lets a test say that an app cannot reach the internet because of policy and not by accident.
"""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address, IPv4Network

import msgspec

BRIDGE = "havn0"
_SUBNET = IPv4Network("10.199.0.0/16")
HOST_ADDRESS = _SUBNET.network_address + 1
MAX_CLUSTERS = 50


class Addresses(msgspec.Struct, frozen=True):
    """The addresses of the cluster with number `index`."""

    index: int

    @property
    def node(self) -> IPv4Address:
        """Where the API server and the node's host ports are reached, from this machine and other clusters."""
        return _SUBNET.network_address + 256 * self.index + 2

    @property
    def pods(self) -> IPv4Network:
        """The range of pod addresses."""
        return IPv4Network(f"10.{100 + self.index}.0.0/24")

    @property
    def services(self) -> IPv4Network:
        """The range of Service addresses."""
        return IPv4Network(f"10.{150 + self.index}.0.0/24")

    @property
    def dns(self) -> IPv4Address:
        """The Service address of the cluster's DNS."""
        return self.services.network_address + 10


def make(namespace: str, addresses: Addresses) -> None:
    """Make the namespace, its link to the bridge, and the masquerading of pods that talk to other clusters."""
    if run("ip", "link", "show", BRIDGE, check=False).returncode != 0:
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{HOST_ADDRESS}/{_SUBNET.prefixlen}", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
    run("ip", "netns", "add", namespace)
    link = f"havn-v{addresses.index}"
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", namespace)
    run("ip", "link", "set", link, "master", BRIDGE, "up")
    inside = ("ip", "-n", namespace)
    run(*inside, "addr", "add", f"{addresses.node}/{_SUBNET.prefixlen}", "dev", "uplink")
    run(*inside, "link", "set", "uplink", "up")
    run(*inside, "link", "set", "lo", "up")
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    rules = f"""
table ip havn_uplink {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {addresses.pods} oifname "uplink" masquerade
  }}
}}
"""
    run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=rules)


def remove(namespace: str, addresses: Addresses) -> None:
    """Take away what `make` made; the bridge too, when this was the last cluster on it."""
    run("ip", "netns", "del", namespace, check=False)
    run("ip", "link", "del", f"havn-v{addresses.index}", check=False)
    if not run("ip", "-o", "link", "show", "master", BRIDGE, check=False).stdout.strip():
        run("ip", "link", "del", BRIDGE, check=False)


def run(*command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a system program, with `text` on its standard input; raises CalledProcessError when `check`."""
    return subprocess.run(command, check=check, capture_output=True, text=True, input=text)
