"""charts/cluster: what an owner's cluster answers before and beside its apps."""

from __future__ import annotations

import httpx2
import pytest

pytestmark = pytest.mark.cluster


@pytest.fixture
def get(kubernetes, bootstrapped):
    """GET a URL's path at a host of the cluster's ingress, over TLS unless said."""

    def run(host: str, path: str, *, scheme: str = "https", **headers: str) -> httpx2.Response:
        with httpx2.Client(verify=False, trust_env=False) as client:
            return client.get(f"{scheme}://{kubernetes.address}{path}", headers={"Host": host, **headers})

    return run


HOST = "ttd.apps.tt02.example.test"


def test_an_unknown_app_is_answered_with_a_page_in_the_readers_language_or_a_problem(get):
    page = get(HOST, "/no-such-app/x", **{"Accept": "text/html", "Accept-Language": "nn"})
    assert page.status_code == 404
    assert "Tenesta finst ikkje" in page.text
    problem = get(HOST, "/no-such-app")
    assert (problem.status_code, problem.json()["code"]) == (404, "unknown_app")


def test_an_unknown_host_is_told_apart(get):
    assert get("nav.apps.tt02.example.test", "/first").json()["code"] == "unknown_host"


def test_plain_http_is_sent_on_to_tls_and_tls_asks_to_be_kept(get):
    plain = get(HOST, "/first/?x=1", scheme="http")
    assert plain.status_code in (301, 308)
    assert plain.headers["location"].startswith(f"https://{HOST}")
    assert get(HOST, "/first").headers["strict-transport-security"] == "max-age=31536000"
