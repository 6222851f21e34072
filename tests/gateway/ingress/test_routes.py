"""The routing table."""

import msgspec
import pytest

from havn.gateway.ingress.routes import Route, Router, Table

HOST = b"ttd.apps.havn.localhost"


def route(prefix: str, *upstreams: str, host: str = HOST.decode(), name: str = "x") -> Route:
    return Route(host=host, prefix=prefix, upstreams=upstreams, name=name)


def found(router: Router, target: bytes, host: bytes = HOST) -> str | None:
    match = router.lookup(host, target)
    return match[0].prefix if match else None


def test_a_prefix_matches_whole_segments_only():
    router = Router(Table(1, (route("/first"),)))
    assert found(router, b"/first") == found(router, b"/first/") == found(router, b"/first?x=/other") == "/first"
    assert found(router, b"/first/instances/1") == "/first"
    assert found(router, b"/firstly") is None
    assert found(router, b"/First") is None
    assert found(router, b"/") is None
    assert found(router, b"/%66irst") is None
    assert found(router, b"/other?/first") is None


def test_both_url_forms_of_an_app_are_routes_of_their_own():
    router = Router(Table(1, (route("/first"), route("/ttd/first"), route("/other"))))
    assert found(router, b"/ttd/first/api") == "/ttd/first"
    assert found(router, b"/ttd") is None
    assert found(router, b"/ttd/other") is None


def test_the_longest_prefix_wins_and_the_first_of_equals():
    router = Router(Table(1, (route(""), route("/a"), route("/a/b", name="one"), route("/a/b", name="two"))))
    assert found(router, b"/a/b/c") == "/a/b"
    assert router.lookup(HOST, b"/a/b")[0].name == "one"
    assert found(router, b"/a/c") == "/a"
    assert found(router, b"/z") == ""


def test_another_host_is_another_table():
    router = Router(Table(1, (route("/first"),)))
    assert found(router, b"/first", b"nav.apps.havn.localhost") is None
    assert router.knows(HOST)
    assert not router.knows(b"nav.apps.havn.localhost")


def test_upstreams_take_turns():
    router = Router(Table(1, (route("/a", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),)))
    orders = [router.lookup(HOST, b"/a")[1] for _ in range(4)]
    assert [order[0] for order in orders] == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1"]
    assert set(orders[1]) == {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "UPPER.example", "name": "x"},
        {"host": "a b", "name": "x"},
        {"host": "a", "prefix": "first", "name": "x"},
        {"host": "a", "prefix": "/first/", "name": "x"},
        {"host": "a", "prefix": "/a?b", "name": "x"},
        {"host": "a", "upstreams": ["10.0.0.1:80"], "name": "x"},
        {"host": "a", "upstreams": ["127.0.0.1"], "name": "x"},
        {"host": "a", "upstreams": ["evil.example:80"], "name": "x"},
        {"host": "a", "name": "x", "more": 1},
    ],
)
def test_a_route_that_leads_elsewhere_cannot_be_made(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Route)
