"""The structured names of XACML: X.500 and mailbox names, network addresses and host names with port ranges."""

from __future__ import annotations

import ipaddress
import re

# RFC 4514 section 3, with the further short names that certificates use.
_OIDS = {
    "2.5.4.3": "cn", "2.5.4.4": "sn", "2.5.4.5": "serialnumber", "2.5.4.6": "c", "2.5.4.7": "l", "2.5.4.8": "st",
    "2.5.4.9": "street", "2.5.4.10": "o", "2.5.4.11": "ou", "2.5.4.12": "t", "2.5.4.42": "givenname",
    "2.5.4.43": "initials", "2.5.4.44": "generationqualifier", "2.5.4.46": "dnqualifier",
    "0.9.2342.19200300.100.1.25": "dc", "0.9.2342.19200300.100.1.1": "uid",
    "1.2.840.113549.1.9.1": "emailaddress",
}  # fmt: skip
_SYNONYMS = {"s": "st", "surname": "sn", "title": "t", "generation": "generationqualifier", "e": "emailaddress",
             "email": "emailaddress", "dnq": "dnqualifier"}  # fmt: skip
_ATTRIBUTE_TYPE = re.compile(r"(?:oid\.)?(\d+(?:\.\d+)+)|([a-z][a-z0-9-]*)", re.IGNORECASE | re.ASCII)
_LOCAL_PART = re.compile(r"[^\s@]+|\"[^\"]+\"", re.ASCII)
_DOMAIN = re.compile(r"[^\s@]+", re.ASCII)
_PORTS = re.compile(r"(?:\d{1,5}-?\d{0,5}|-\d{1,5})", re.ASCII)
_HOST = re.compile(
    r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?|\*",
    re.IGNORECASE | re.ASCII,
)
_NAME_LENGTH = 4096


class Name:
    """A name with its text as given; equal when the compared forms are equal."""

    __slots__ = ("compared", "text")

    def __init__(self, text: str, compared: object) -> None:
        self.text = text
        self.compared = compared

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.compared == other.compared

    def __hash__(self) -> int:
        return hash(self.compared)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"


class X500Name(Name):
    """A distinguished name; `rdns` as written, each a set of (type, value) in compared form."""

    __slots__ = ()

    @property
    def rdns(self) -> tuple[frozenset[tuple[str, str]], ...]:
        """The relative names, most specific first, as in RFC 4514."""
        return self.compared  # type: ignore[return-value]


class Mailbox(Name):
    """An rfc822Name: the local part keeps its case, the domain has none."""

    __slots__ = ()

    @property
    def local(self) -> str:
        """The part before the last @."""
        return self.compared[0]  # type: ignore[index,no-any-return]

    @property
    def domain(self) -> str:
        """The domain in lower case."""
        return self.compared[1]  # type: ignore[index,no-any-return]


class NetworkName(Name):
    """An ipAddress or dnsName, with mask and port range as written."""

    __slots__ = ()


def parse_x500_name(text: str) -> X500Name:
    """A distinguished name in the form of RFC 4514 (RFC 1779 quoting accepted); ValueError when it is none."""
    if len(text) > _NAME_LENGTH:
        raise ValueError("too long for an x500Name")
    text = text.strip()
    rdns: list[frozenset[tuple[str, str]]] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while text:
        equals = text.find("=", at)
        if equals < 0:
            raise ValueError("not an x500Name")
        kind = _type(text[at:equals].strip())
        value, at = _value(text, equals + 1)
        pairs.append((kind, value))
        if at >= len(text) or text[at] != "+":
            rdns.append(frozenset(pairs))
            pairs = []
        if at >= len(text):
            break
        at += 1
    return X500Name(text, tuple(rdns))


def _type(text: str) -> str:
    found = _ATTRIBUTE_TYPE.fullmatch(text)
    if not found:
        raise ValueError("not an attribute type of an x500Name")
    if found[1]:
        return _OIDS.get(found[1], found[1])
    name = found[2].lower()
    return _SYNONYMS.get(name, name)


def _value(text: str, at: int) -> tuple[str, int]:
    """One attribute value from `at`, compared form, and where it ends."""
    while at < len(text) and text[at] == " ":
        at += 1
    out: list[str] = []
    octets = bytearray()
    quoted = at < len(text) and text[at] == '"'
    at += quoted
    kept = 0  # spaces that were escaped must survive the trimming
    while at < len(text):
        char = text[at]
        if char == "\\":
            pair = text[at + 1 : at + 3]
            if re.fullmatch("[0-9a-fA-F]{2}", pair):
                octets += bytes.fromhex(pair)
                at += 3
                continue
            if not pair:
                raise ValueError("an escape without a character")
            _flush(octets, out)
            out.append(pair[0])
            kept = len(out)
            at += 2
            continue
        _flush(octets, out)
        if quoted and char == '"':
            at += 1
            while at < len(text) and text[at] == " ":
                at += 1
            if at < len(text) and text[at] not in ",;+":
                raise ValueError("text after a quoted value")
            return _folded("".join(out)), at
        if not quoted and char in ",;+":
            break
        if not quoted and char in '"<>':
            raise ValueError("an unescaped special character")
        out.append(char)
        at += 1
    if quoted:
        raise ValueError("a quoted value without end")
    _flush(octets, out)
    while len(out) > kept and out[-1] == " ":
        out.pop()
    return _folded("".join(out)), at


def _flush(octets: bytearray, out: list[str]) -> None:
    if octets:
        out.append(octets.decode("utf-8", "replace"))
        octets.clear()


def _folded(value: str) -> str:
    return " ".join(value.lower().split(" ")) if "  " not in value else re.sub(" +", " ", value.lower())


def x500_name_match(suffix: X500Name, whole: X500Name) -> bool:
    """Whether the first is a terminal sequence of the second's relative names."""
    length = len(suffix.rdns)
    return length == 0 or whole.rdns[-length:] == suffix.rdns


def parse_mailbox(text: str) -> Mailbox:
    """An rfc822Name; ValueError when it is none."""
    text = text.strip()
    local, at, domain = text.rpartition("@")
    if not at or len(text) > _NAME_LENGTH or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError("not an rfc822Name")
    return Mailbox(f"{local}@{domain}", (local, domain.lower()))


def mailbox_match(pattern: str, name: Mailbox) -> bool:
    """rfc822Name-match: a whole mailbox, a domain, or with a leading dot the hosts below a domain."""
    local, at, domain = pattern.rpartition("@")
    if at:
        return name.local == local and name.domain == domain.lower()
    if pattern.startswith("."):
        return name.domain.endswith(pattern.lower())
    return name.domain == pattern.lower()


def parse_ip_address(text: str) -> NetworkName:
    """An ipAddress: address, optional mask, optional port range; ValueError when it is none."""
    text = text.strip()
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ValueError("not an ipAddress")
        ipaddress.IPv6Address(inner)
        if rest.startswith("/"):
            if not rest.startswith("/["):
                raise ValueError("not an IPv6 mask")
            mask, bracket, rest = rest[2:].partition("]")
            ipaddress.IPv6Address(mask)
        port = _port_range(rest)
    else:
        address, colon, port_text = text.partition(":")
        host, slash, mask = address.partition("/")
        ipaddress.IPv4Address(host)
        if slash:
            ipaddress.IPv4Address(mask)
        port = _port_range(colon + port_text)
    return NetworkName(text, (text.lower(), port))


def parse_dns_name(text: str) -> NetworkName:
    """A dnsName: host name, first label perhaps `*`, optional port range; ValueError when it is none."""
    text = text.strip()
    host, colon, port = text.partition(":")
    if len(host) > 255 or not _HOST.fullmatch(host):
        raise ValueError("not a dnsName")
    return NetworkName(text, (host.lower(), _port_range(colon + port)))


def _port_range(text: str) -> str:
    if not text:
        return ""
    ports = text[1:]
    if text[0] != ":" or (ports and not _PORTS.fullmatch(ports)):
        raise ValueError("not a port range")
    if any(part and int(part) > 65535 for part in ports.split("-")):
        raise ValueError("no such port")
    return ports
