"""Which addresses may be dialled at all, whatever name led there (RFC 6890 and the IANA special-purpose registries).

For IPv6 the rule is turned round: only global unicast (2000::/3) passes, less what inside it has another purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]

_IPV4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier_nat"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_IPV6_GLOBAL = IPv6Network("2000::/3")
_IPV6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "ipv4_mapped"),
        ("::/96", "ipv4_compatible"),
        ("64:ff9b::/96", "nat64"),
        ("64:ff9b:1::/48", "nat64"),
        ("2001::/32", "teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
# An interface identifier that holds an IPv4 address (ISATAP, RFC 5214).
_ISATAP = frozenset((0x00005EFE, 0x02005EFE))


def networks(texts: Iterable[str]) -> Networks:
    """CIDR ranges as networks. Raises ValueError for one that is none."""
    return tuple(ip_network(text.strip()) for text in texts if text.strip())


def refusal(address: str, *, allowed: Networks = (), denied: Networks = ()) -> str | None:
    """Why `address` may not be dialled, as a short word; None when it may.

    `denied` (own cluster, own ingress) comes before `allowed` (what an operator opens), and both before the built-in
    list.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return "malformed"
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return "link_local"
    if _inside(found, denied):
        return "denied_range"
    if _inside(found, allowed):
        return None
    if isinstance(found, IPv4Address):
        return next((why for network, why in _IPV4 if found in network), None)
    for network, why in _IPV6:
        if found in network:
            return why
    if found not in _IPV6_GLOBAL:
        return "not_global"
    return "isatap" if (int(found) >> 32) & 0xFFFFFFFF in _ISATAP else None


def _inside(address: IPv4Address | IPv6Address, ranges: Networks) -> bool:
    return any(address.version == network.version and address in network for network in ranges)
