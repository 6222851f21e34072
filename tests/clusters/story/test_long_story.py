"""The long story: a platform cluster and an owner's two, one app from its first day to its last.

Three real Kubernetes, a real registry, a real PostgreSQL over TCP, and a real browser. The steps follow each other and
share what they made: run the whole file.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import pytest
import yaml
from playwright.sync_api import expect

from havn.local.kubernetes import addons
from havn.local.kubernetes.network import HOST_ADDRESS

pytestmark = [pytest.mark.cluster, pytest.mark.story, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[3]
stage = sys.modules["cluster_story"]
ORG, APP, DOMAINS, APIS = stage.ORG, stage.APP, stage.DOMAINS, stage.APIS
PATHS = [f"/{APP}/api/v1/texts/nb", f"/{ORG}/{APP}/api/v1/applicationmetadata", f"/{APP}/health"]
RECEIPT = re.compile("kvittering|sendt|mottatt", re.IGNORECASE)
# Events that an instance has once in its life.
ONCE = ("process_EndEvent", "Submited")
PROBE = Path(__file__).parents[1].joinpath("probe.py").read_text()

_grant_spec = importlib.util.spec_from_file_location("story_grant", ROOT / "tests" / "stories" / "test_grant.py")
assert _grant_spec is not None
assert _grant_spec.loader is not None
grant = sys.modules.setdefault("story_grant", importlib.util.module_from_spec(_grant_spec))
_grant_spec.loader.exec_module(grant)


def until(true: Callable[[], bool]) -> None:
    """Ask until it is so; every question goes to a cluster and takes its time."""
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, "It did not come to be within two minutes."


def test_1_the_platform_is_installed_for_two_environments(story):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(story.install_platform, DOMAINS))
    trusting = ssl.create_default_context(cadata=story.authority.certificate)
    with httpx2.Client(verify=trusting, trust_env=False, timeout=30) as client:

        def answers(api: str, domain: str) -> bool:
            answer = client.get(
                f"https://{story.platform.address}/{api}/api/v1/health",
                headers={"host": f"platform.{domain}"},
                extensions={"sni_hostname": f"platform.{domain}"},
            )
            return answer.status_code == 200

        for domain in DOMAINS.values():
            for api in APIS:
                # The ingress may hear of the pods a moment after Helm does.
                until(partial(answers, api, domain))
    story.tokens["kari"] = story.first_token("kari", ["administer"])


def test_2_the_owners_clusters_are_added_from_the_command_line(story):
    havn = story.havn
    havn("org", "add", ORG, "--name", "Fjordvik kommune")
    havn("org", "trust", ORG, str(story.folder / "signing-key.pub.pem"))
    role = re.search(r"```yaml\n(apiVersion.*?)```", (ROOT / "docs/how-to/add-a-cluster.md").read_text(), re.DOTALL)
    assert role is not None
    for environment, domain in DOMAINS.items():
        kubernetes = story.owners[environment]
        story.certify(kubernetes, "public", [story.host(environment)])
        apps = {
            "platform": {"authorities": story.authority.certificate},
            "networkPolicy": {"platformCidrs": [f"{story.platform.address}/32"]},
            "ingress": {"tlsSecret": "public"},
            "resources": {"requests": {"cpu": "20m"}},
        }
        if environment == "production":
            apps["platform"]["address"] = story.platform.address
        base = {
            "tlsSecret": "public",
            "dns": {"replicas": 1},
            "egress": {"replicas": 1, "autoscaling": {"enabled": False}},
        }
        files = {
            "values.yaml": yaml.safe_dump(apps),
            "base.yaml": yaml.safe_dump(base),
            "deploy-key.jwk": story.keys[environment]["deploy"]["platform-access-key"],
        }
        place = story.folder / f"add-{environment}"
        place.mkdir(exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(text)
        kubernetes.kubectl("apply", "-f", "-", text=role[1])
        (place / "token").write_text(kubernetes.kubectl("create", "token", "havn", "--duration=24h").strip())
        config = json.loads(kubernetes.kubeconfig.read_text())
        shutil.copy(config["clusters"][0]["cluster"]["certificate-authority"], place / "ca.pem")
        kind = ("--type", "production", "--approval", "another") if environment == "production" else ("--type", "test")
        havn(
            "environment", "add", environment, *kind, "--domain", domain, "--key", str(place / "deploy-key.jwk"),
            "--values", str(place / "values.yaml"),
        )  # fmt: skip
        said = havn(
            "cluster", "add", ORG, "--env", environment, "--server", f"https://{kubernetes.address}:6443",
            "--authority", str(place / "ca.pem"), "--token-file", str(place / "token"),
            "--ingress", kubernetes.address, "--base-values", str(place / "base.yaml"),
        )  # fmt: skip
        assert f"{story.host(environment)}. A {kubernetes.address}" in said
    known = json.loads(havn("cluster", "list", "--json"))["clusters"]
    assert {(each["org"], each["environment"], each["status"]) for each in known} == {
        (ORG, environment, "ready") for environment in DOMAINS
    }
    for environment in DOMAINS:
        # The API proxy is ready once it knows the platform's keys.
        addons.wait_for(story.owners[environment], "default", "havn-egress", seconds=120)


def sign_in(story, environment: str) -> None:
    """Go to the app, by way of the sign-in when that is asked for."""
    page = story.page
    page.goto(f"{story.address(environment)}/")
    if "//login." in page.url:
        page.get_by_role("button", name=re.compile("Sindig")).click()
    expect(page).to_have_url(re.compile(re.escape(story.host(environment))))


def begin(story, environment: str) -> grant.Applicant:
    """Somebody signed in, with a new form filled in and the statutes attached, before the last page."""
    sign_in(story, environment)
    page = story.page
    applicant = grant.Applicant(page, lambda page: None)
    applicant.choose("LYSENDE FURU AS")
    story.instance = applicant.start()
    applicant.fill_in()
    statutes = story.folder / "vedtekter.pdf"
    statutes.write_bytes(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    page.locator("input[type=file]").first.set_input_files(statutes)
    expect(page.get_by_text("vedtekter.pdf").first).to_be_visible()
    applicant.press("Neste")
    applicant.at("oppsummering")
    page.get_by_role("checkbox").check()
    applicant.press("Til bekreftelse")
    applicant.at("bekreft")
    return applicant


def receipt(story) -> None:
    expect(story.page.get_by_role("heading", name=RECEIPT).first).to_be_visible(timeout=60_000)
    expect(story.page.get_by_text(story.instance.rsplit("-", 1)[1]).first).to_be_visible()


def test_3_the_example_is_deployed_and_filled_in_with_a_browser(story):
    digest = story.build(1)
    story.havn("deploy", f"{ORG}/{APP}", "--env", "tt02", "--release", digest)
    assert story.shown_version("tt02") == "1"
    begin(story, "tt02")
    story.page.get_by_role("button", name="Bekreft og send inn").click()
    receipt(story)
    with story.page.expect_download() as download:
        story.page.get_by_role("link", name=re.compile("pdf", re.IGNORECASE)).first.click()
    assert "Skiskole for alle" in grant.pdf_text(Path(download.value.path()))


def test_4_a_new_version_is_deployed_under_load_without_a_failed_request(story, k6):
    digest = story.build(2)
    load = k6(story.owners["tt02"].address, story.host("tt02"), PATHS, rate=20)
    story.havn("deploy", f"{ORG}/{APP}", "--env", "tt02", "--release", digest)
    made, failed = load.end()
    assert made > 40
    assert failed == 0
    assert story.shown_version("tt02") == "2"


def test_5_a_broken_version_is_rolled_back_with_its_reason(story, k6):
    digest = story.build(3, "\nraise RuntimeError('broken on purpose')\n")
    load = k6(story.owners["tt02"].address, story.host("tt02"), PATHS, rate=5)
    said = story.havn("deploy", f"{ORG}/{APP}", "--env", "tt02", "--release", digest, ok=False)
    made, failed = load.end()
    assert "broken on purpose" in said
    assert "what ran before runs on" in said
    assert made > 10
    assert failed == 0
    assert story.shown_version("tt02") == "2"


def test_6_it_is_promoted_to_production_when_somebody_else_has_approved(story):
    # A token that kari made would be no somebody else.
    story.tokens["ola"] = story.first_token("ola", ["approve"])
    promote = ("promote", f"{ORG}/{APP}", "--from", "tt02", "--to", "production", "--json")
    asked = json.loads(story.havn(*promote))
    assert (asked["status"], asked["release"]) == ("waiting", story.releases[2])
    assert story.ask("production", f"/{APP}/health") == 404
    story.havn("approve", str(asked["id"]), ok=False)
    story.havn("approve", str(asked["id"]), "-m", "Tried in tt02.", who="ola")
    shown = [json.loads(story.havn("ps", "--json"))]
    assert {each["environment"]: each["release"] for each in shown[0]} == dict.fromkeys(DOMAINS, story.releases[2])
    sign_in(story, "production")
    applicant = grant.Applicant(story.page, lambda page: None)
    applicant.choose("LYSENDE FURU AS")
    applicant.start()
    applicant.write("Antall medlemmer", "42")


def test_7_it_is_rolled_back(story, k6):
    load = k6(story.owners["tt02"].address, story.host("tt02"), PATHS, rate=5)
    story.havn("rollback", f"{ORG}/{APP}", "--env", "tt02")
    made, failed = load.end()
    assert made > 10
    assert failed == 0
    assert story.shown_version("tt02") == "1"
    assert story.shown_version("production") == "2"


def test_8_it_is_scaled_under_load(story, k6):
    load = k6(story.owners["tt02"].address, story.host("tt02"), PATHS, rate=10)
    for replicas in ("2", "1"):
        story.havn("scale", f"{ORG}/{APP}", replicas, "--env", "tt02")
        until(lambda wanted=replicas: story.ready("tt02") == int(wanted))
    made, failed = load.end()
    assert made > 20
    assert failed == 0


def test_9_a_secret_and_a_certificate_are_changed_without_a_failed_request(story, k6):
    kubernetes, value = story.owners["tt02"], story.folder / "mail-key"
    load = k6(kubernetes.address, story.host("tt02"), PATHS, rate=5)
    read = ("python3", "-c", "print(open('/mnt/app-secrets/mail-key').read())")
    for verb in ("set", "rotate"):
        value.write_text(f"a value to {verb}")
        story.havn("secret", verb, f"{ORG}/{APP}", "mail-key", "--env", "tt02", "--file", str(value))
        said = story.havn("exec", f"{ORG}/{APP}", "--env", "tt02", "--", *read)
        assert said.strip() == f"a value to {verb}"
    # The public certificate, which is the operator's.
    wanted = story.certify(kubernetes, "public", [story.host("tt02")])
    until(lambda: story.shown_certificate("tt02") == wanted.strip())
    # The cluster's own authority: a new one is believed beside the one that signs, and the platform's.
    story.havn("cluster", "rotate-ca", ORG, "--env", "tt02", "--yes")
    until(lambda: story.believed("tt02") == 3)
    made, failed = load.end()
    assert made > 20
    assert failed == 0


def test_10_a_platform_pod_is_killed_while_somebody_submits_and_nothing_is_doubled(story):
    begin(story, "tt02")
    page, kubectl = story.page, story.platform.kubectl
    selector = "app.kubernetes.io/instance=tt02,app.kubernetes.io/component=storage"
    [pod] = kubectl("get", "pods", "-l", selector, "-o", "name").split()
    submit = page.get_by_role("button", name="Bekreft og send inn")
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kubectl, "delete", pod, "--grace-period=0", "--force")
        submit.click(no_wait_after=True)
        killing.result()
    kubectl("rollout", "status", "deployment/tt02-storage", "--timeout=120s")
    # Somebody who was told that it could not be sent just now tries again, as the page says.
    done = page.get_by_role("heading", name=RECEIPT).first
    again = page.get_by_role("link", name="Prøv igjen")

    def sent() -> bool:
        page.goto(f"{story.address('tt02')}/instance/{story.instance}")
        expect(done.or_(submit).or_(again).first).to_be_visible()
        if submit.is_visible():
            submit.click()
            page.wait_for_load_state("networkidle")
        return done.is_visible()

    until(sent)
    receipt(story)
    guid = story.instance.rpartition("/")[2]
    query = "select event_type, count(*) as n from storage.instance_event where instance_guid = $1::uuid group by 1"
    events = {row["event_type"]: row["n"] for row in story.rows("tt02", query, guid)}
    assert {name: number for name, number in events.items() if name in ONCE} == dict.fromkeys(ONCE, 1), events
    query = (
        "select count(*) as n from storage.data_element"
        " where instance_guid = $1::uuid and data_type = 'ref-data-as-pdf' and not is_hard_deleted"
    )
    assert story.rows("tt02", query, guid)[0]["n"] == 1


def test_11_the_app_answers_while_its_nodes_kubelet_is_away(story):
    kubernetes = story.owners["tt02"]
    kubernetes.stop("kubelet")
    begun = time.monotonic()
    answers = set()
    while time.monotonic() - begun < 15:
        answers.add(story.ask("tt02", f"/{APP}/api/v1/texts/nb"))
    kubernetes.start_kubelet()
    kubernetes.kubectl("wait", "--for=condition=Ready", "node/node1", "--timeout=60s")
    answers.add(story.ask("tt02", f"/{APP}/api/v1/texts/nb"))
    assert answers == {200}
    assert story.ready("tt02") == 1


def test_12_nobody_gets_out_of_the_app_but_to_the_platform(story):
    tt02, production = story.owners["tt02"], story.owners["production"]
    api = tt02.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").strip()
    targets = [
        ("platform", story.platform.address, 443),
        ("platform's API server", story.platform.address, 6443),
        ("API server", api, 443),
        ("kubelet", tt02.address, 10250),
        ("own ingress", tt02.address, 443),
        ("production's ingress", production.address, 443),
        ("registry", str(HOST_ADDRESS), int(story.registry_url.rpartition(":")[2])),
        ("database", str(HOST_ADDRESS), story.database[1]),
    ]
    said = story.havn("exec", f"{ORG}/{APP}", "--env", "tt02", "--", "python3", "-c", PROBE, json.dumps(targets))
    assert json.loads(said) == ["platform"]


def test_13_everything_is_removed_and_nothing_is_left(story):
    for environment in DOMAINS:
        story.havn("undeploy", f"{ORG}/{APP}", "--env", environment, "--yes")
        assert story.ask(environment, f"/{APP}/health") == 404
    kinds = "deployments,services,pods,ingressroutes.traefik.io,middlewares.traefik.io,networkpolicies,hpa,pdb,jobs"
    for environment, kubernetes in story.owners.items():
        story.havn("cluster", "remove", ORG, "--env", environment, "--yes")
        kubernetes.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s", check=False)
        left = kubernetes.kubectl("get", f"{kinds},configmaps,secrets", "-o", "name").split()
        assert set(left) == {"service/kubernetes", "configmap/kube-root-ca.crt", "secret/public"}
        story.havn("environment", "remove", environment, "--yes")
    assert json.loads(story.havn("cluster", "list", "--json"))["clusters"] == []
    for environment in DOMAINS:
        subprocess.run(
            [story.helm, "uninstall", environment, "--wait", f"--kubeconfig={story.platform.kubeconfig}"],
            check=True, capture_output=True,
        )  # fmt: skip
        selector = f"app.kubernetes.io/instance={environment}"
        story.platform.kubectl("wait", "--for=delete", "pods", "-l", selector, "--timeout=120s")
        assert story.platform.kubectl("get", f"{kinds},configmaps", "-l", selector, "-o", "name").strip() == ""
