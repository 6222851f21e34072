"""The rules of deployment/egress.yaml: what is accepted, what matches, and what a denial tells."""

from __future__ import annotations

from datetime import date
from typing import Any

import jsonschema
import msgspec
import pytest

from havn.engines.egress_policy import (
    EgressPolicy,
    Policy,
    Request,
    faults,
    host_fault,
    networks,
    path_fault,
    refusal,
    schema,
)

TODAY = date(2026, 3, 1)


def policy(*, environment: str = "tt02", production: bool = False, **members: Any) -> Policy:
    read = msgspec.convert(members, EgressPolicy)
    assert faults(read) == []
    return Policy(read, environment=environment, production=production)


def connect(host: str, port: int = 443) -> Request:
    return Request("connect", host, port)


def get(host: str, target: str, method: str = "GET", port: int = 80) -> Request:
    return Request("http", host, port, method, target)


def test_a_named_host_is_allowed_on_443_only() -> None:
    rules = policy(mode="enforce", allow=[{"host": "data.example.no"}])
    assert rules.decide(connect("data.example.no"), TODAY).allowed
    assert not rules.decide(connect("data.example.no", 8443), TODAY).allowed
    assert not rules.decide(connect("data.example.no.evil.org"), TODAY).allowed
    assert not rules.decide(get("data.example.no", "/"), TODAY).allowed


def test_a_wildcard_stands_for_exactly_one_label() -> None:
    rules = policy(mode="enforce", allow=[{"host": "*.example.no"}])
    assert rules.decide(connect("a.example.no"), TODAY).allowed
    assert not rules.decide(connect("example.no"), TODAY).allowed
    assert not rules.decide(connect("a.b.example.no"), TODAY).allowed
    assert not rules.decide(connect("xexample.no"), TODAY).allowed


def test_plain_http_is_bound_to_method_and_whole_segments() -> None:
    rule = {"host": "a.example.no", "scheme": "http", "methods": ["GET"], "paths": ["/api"]}
    rules = policy(mode="enforce", allow=[rule])
    assert rules.decide(get("a.example.no", "/api?x=/other"), TODAY).allowed
    assert rules.decide(get("a.example.no", "/api/1"), TODAY).allowed
    assert not rules.decide(get("a.example.no", "/apiary"), TODAY).allowed
    assert not rules.decide(get("a.example.no", "/api/1", "POST"), TODAY).allowed


def test_the_mode_follows_the_kind_of_environment_and_the_file_may_say_otherwise_for_one() -> None:
    assert policy().decide(connect("a.example.no"), TODAY).reason == "observed"
    assert policy(production=True).decide(connect("a.example.no"), TODAY).reason == "no_rule"
    members: dict[str, Any] = {"environments": {"tt02": {"mode": "enforce", "allow": [{"host": "b.example.no"}]}}}
    assert not policy(**members).decide(connect("a.example.no"), TODAY).allowed
    assert policy(**members).decide(connect("b.example.no"), TODAY).allowed
    assert policy(**members, environment="at22").decide(connect("a.example.no"), TODAY).allowed


def test_open_ends_after_its_last_day() -> None:
    rules = policy(mode="open", open={"until": "2026-03-01", "approvedBy": "Kari Nordmann"})
    assert rules.decide(connect("a.example.no"), TODAY).reason == "open"
    assert not rules.decide(connect("a.example.no"), date(2026, 3, 2)).allowed


def test_the_line_in_a_denial_is_the_line_that_allows_it() -> None:
    import yaml

    for request in (connect("a.example.no"), connect("a.example.no", 8443), get("a.example.no", "/api/1", "PUT", 81)):
        denied = policy(mode="enforce").decide(request, TODAY)
        rule = yaml.safe_load(denied.hint)
        assert policy(mode="enforce", allow=rule).decide(request, TODAY).allowed


@pytest.mark.parametrize(
    "host",
    [
        "", "localhost", "example.no.", "user@example.no", "127.0.0.1", "0x7f.1", "127.1", "2130706433", "0x7f000001",
        "017700000001", "[::1]", "::1", "a..b", "a_b.no", "-a.no", "blåbær.no", "a.example.no:80", "a b.no",
        "a.0x7f", "1.2.3.4.5", "EXAMPLE.no", "a.b%2eno", "a\x00b.no", "①②⑦.no",
    ],
)  # fmt: skip
def test_odd_hosts_are_refused_in_every_mode(host: str) -> None:
    assert host_fault(host) is not None
    assert not policy(mode="observe").decide(connect(host), TODAY).allowed


@pytest.mark.parametrize(
    "target", ["/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/..", "/a/..;x/b", "/a/..%2fb", "/a/..%5cb", "/a\\..\\b",
               "/./a", "a", "/a#b"]
)  # fmt: skip
def test_paths_that_two_readers_may_read_differently_are_refused(target: str) -> None:
    assert path_fault(target) is not None


@pytest.mark.parametrize("target", ["/", "/a/..b", "/a/...", "/.well-known/x", "/a%20b?x=../y", "/a/b.c/"])
def test_ordinary_paths_are_accepted(target: str) -> None:
    assert path_fault(target) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("0.0.0.0", "unspecified"), ("0.1.2.3", "unspecified"),
        ("10.1.2.3", "private"), ("172.16.0.1", "private"), ("172.31.255.255", "private"), ("192.168.1.1", "private"),
        ("169.254.169.254", "link_local"), ("168.63.129.16", "metadata"), ("100.64.0.1", "carrier_nat"),
        ("100.127.255.254", "carrier_nat"), ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"),
        ("255.255.255.255", "reserved"), ("240.0.0.1", "reserved"), ("192.0.2.1", "documentation"),
        ("198.18.0.1", "benchmarking"), ("192.88.99.1", "6to4"), ("192.0.0.170", "reserved"),
        ("::", "unspecified"), ("::1", "loopback"), ("::ffff:127.0.0.1", "ipv4_mapped"),
        ("::ffff:8.8.8.8", "ipv4_mapped"), ("::127.0.0.1", "ipv4_compatible"), ("64:ff9b::7f00:1", "nat64"),
        ("64:ff9b:1::a00:1", "nat64"), ("2002:7f00:1::", "6to4"), ("2001:0:5ef5:79fd::1", "teredo"),
        ("2001:20::1", "reserved"), ("2001:db8::1", "documentation"), ("fd00:ec2::254", "private"),
        ("fdaa::1", "private"), ("fe80::1", "link_local"), ("fe80::1%eth0", "link_local"), ("fec0::1", "private"),
        ("ff02::1", "multicast"), ("100::1", "not_global"), ("4000::1", "not_global"), ("3fff::1", "documentation"),
        ("2a00:1:2:3:0:5efe:7f00:1", "isatap"), ("2a00:1:2:3:200:5efe:a00:1", "isatap"), ("a.b", "malformed"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_public_internet_are_refused(address: str, why: str) -> None:
    assert refusal(address) == why


def test_public_addresses_pass_and_operators_ranges_come_first() -> None:
    assert refusal("93.184.216.34") is None
    assert refusal("2606:2800:220:1::1") is None
    assert refusal("93.184.216.34", denied=networks(["93.184.0.0/16"])) == "denied_range"
    assert refusal("10.1.2.3", allowed=networks(["10.1.0.0/16"])) is None
    both = networks(["10.1.0.0/16"])
    assert refusal("10.1.2.3", allowed=both, denied=both) == "denied_range"


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"allow": [{"host": "*.no"}]}, ("allow", 0, "host")),
        ({"allow": [{"host": "a.*.no"}]}, ("allow", 0, "host")),
        ({"allow": [{"host": "10.0.0.1"}]}, ("allow", 0, "host")),
        ({"allow": [{"host": "a.no", "methods": ["GET"]}]}, ("allow", 0, "methods")),
        ({"allow": [{"host": "a.no", "scheme": "http", "paths": ["/a/../b"]}]}, ("allow", 0, "paths", 0)),
        ({"mode": "open"}, ("mode",)),
        ({"mode": "enforce", "open": {"until": "2026-01-01", "approvedBy": "Kari"}}, ("open",)),
        ({"upstreams": {"a": {"url": "https://u:p@a.no/"}}}, ("upstreams", "a", "url")),
        ({"upstreams": {"a": {"url": "https://127.0.0.1/"}}}, ("upstreams", "a", "url")),
        ({"upstreams": {"a": {"url": "https://a.no/", "credentials": ["x"]}}}, ("upstreams", "a", "credentials", 0)),
        ({"upstreams": {"a": {"url": "https://a.no/", "credentials": ["x"]}},
          "credentials": {"x": {"type": "header", "secret": "x", "hosts": ["b.no"]}}},
         ("upstreams", "a", "credentials", 0)),
        ({"upstreams": {"a": {"url": "http://a.no/", "credentials": ["x"]}},
          "credentials": {"x": {"type": "header", "secret": "x", "hosts": ["a.no"]}}},
         ("upstreams", "a", "credentials", 0)),
        ({"credentials": {"x": {"type": "header", "secret": "x", "hosts": ["a.no"]}}}, ("credentials", "x")),
    ],
)  # fmt: skip
def test_what_cannot_be_put_in_force_is_named_with_its_place(members: dict[str, Any], path: tuple[Any, ...]) -> None:
    assert [fault.path for fault in faults(msgspec.convert(members, EgressPolicy))] == [path]


def test_a_credential_without_hosts_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"credentials": {"x": {"type": "header", "secret": "x", "hosts": []}}}, EgressPolicy)


def test_the_schema_is_json_schema_and_agrees_with_the_types() -> None:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    validator = jsonschema.Draft202012Validator(made)
    assert validator.is_valid({"version": 1, "allow": [{"host": "a.example.no"}]})
    assert not validator.is_valid({"alow": []})
