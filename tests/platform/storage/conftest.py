"""A whole Storage API in this process: real PostgreSQL, real tokens, real policies; only the facts are written here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from havn.clients.applications import ApplicationsClient
from havn.clients.credentials import Credentials
from havn.clients.messagebox import MessageBoxClient
from havn.clients.storage import StorageClient
from havn.contracts.authorization import AttributePair, DelegatedRight, PolicyFacts, SubjectFacts, SubjectRef
from havn.guard.facts import FactCache
from havn.guard.pep import Enforcer
from havn.guard.platform_token import PlatformTokenSigner, PlatformTokenVerifier
from havn.guard.snapshot import SnapshotDecisionPoint
from havn.guard.tokens import AudienceRule, TokenVerifier
from havn.kit.blobs import Blobs, FolderBlobs
from havn.kit.clock import Clock
from havn.kit.http import HttpClient
from havn.platform.storage.app import Ports, wire
from havn.platform.storage.contents import Contents
from havn.platform.storage.housekeeping import Housekeeping
from havn.platform.storage.store import Database, open_database

DOMAIN = "havn.example"
PLATFORM = f"https://platform.{DOMAIN}"
ISSUER = f"{PLATFORM}/authentication/api/v1/openid/"
BASE = "/storage/api/v1"
APP = "ttd/skjema"
OTHER_APP = "skd/krav"

APPLICATION: dict[str, Any] = {
    "id": APP,
    "org": "ttd",
    "title": {"nb": "Søknad om støtte", "en": "Application for support"},
    "preventInstanceDeletionForDays": 30,
    "dataTypes": [
        {"id": "model", "taskId": "Task_1", "appLogic": {"classRef": "Model"}},
        {"id": "vedlegg", "enableFileScan": True},
        {"id": "utkast", "appLogic": {"autoDeleteOnProcessEnd": True}},
        {"id": "internt", "actionRequiredToRead": "inspect", "actionRequiredToWrite": "inspect"},
        {"id": "signatur", "taskId": "Task_2"},
    ],
}


class MovableClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        # A microsecond between any two questions: what happens later has a later time.
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **period: float) -> None:
        self.now += timedelta(**period)


class Facts:
    """Roles of users for parties, rights on single instances, and a policy for each app.

    `asked` counts how often facts were fetched; `meanwhile` happens once, while they are.
    """

    def __init__(self) -> None:
        self.roles: dict[tuple[int, int], list[str]] = {
            (1001, 50_001): ["dagl"],
            (1002, 50_002): ["dagl"],
            (1003, 50_001): ["innsyn"],
        }
        self.rights: dict[tuple[int, int], list[DelegatedRight]] = {}
        self.policies: dict[str, bytes] = {}
        self.asked = 0
        self.meanwhile: list[Callable[[], Awaitable[None]]] = []

    def fresh(self) -> bool:
        return False

    async def policy(self, org: str, app: str) -> PolicyFacts | None:
        xml = self.policies.get(f"{org}/{app}")
        return None if xml is None else PolicyFacts(org, app, 1, str(hash(xml)), xml)

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        self.asked += 1
        if self.meanwhile:
            await self.meanwhile.pop()()
        return [
            SubjectFacts(
                party_id=party,
                attributes=[
                    AttributePair("urn:altinn:rolecode", role)
                    for role in self.roles.get((subject.user_id or 0, party), [])
                ],
                rights=self.rights.get((subject.user_id or 0, party), []),
                max_age_ms=0,
            )
            for party in parties
        ]


_STRING = "http://www.w3.org/2001/XMLSchema#string"
_CATEGORIES = {
    "subject": "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
    "resource": "urn:oasis:names:tc:xacml:3.0:attribute-category:resource",
    "action": "urn:oasis:names:tc:xacml:3.0:attribute-category:action",
}


def _any_of(category: str, attribute: str, values: list[str]) -> str:
    matches = "".join(
        '<AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">'
        f'<AttributeValue DataType="{_STRING}">{value}</AttributeValue>'
        f'<AttributeDesignator AttributeId="{attribute}" Category="{_CATEGORIES[category]}" DataType="{_STRING}"'
        ' MustBePresent="false"/></Match></AllOf>'
        for value in values
    )
    return f"<AnyOf>{matches}</AnyOf>"


def make_policy(org: str, rules: list[tuple[str, str, list[str], list[str]]]) -> bytes:
    """Rules of (subject attribute, value, actions, tasks; no tasks means everywhere)."""
    text = "".join(
        f'<Rule RuleId="r{number}" Effect="Permit"><Target>'
        + _any_of("subject", attribute, [value])
        + _any_of("action", "urn:oasis:names:tc:xacml:1.0:action:action-id", actions)
        + (_any_of("resource", "urn:altinn:task", tasks) if tasks else "")
        + "</Target></Rule>"
        for number, (attribute, value, actions, tasks) in enumerate(rules)
    )
    return (
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0"'
        ' RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">'
        f"<Target/>{text}</Policy>"
    ).encode()


ROLE, ORG = "urn:altinn:rolecode", "urn:altinn:org"


def default_policy(org: str) -> bytes:
    return make_policy(
        org,
        [
            (ROLE, "dagl", ["read", "delete", "instantiate", "reject"], []),
            (ROLE, "dagl", ["write"], ["Task_1", "Task_1b"]),
            (ROLE, "dagl", ["sign"], ["Task_2"]),
            (ROLE, "dagl", ["confirm"], ["Task_3"]),
            (ROLE, "innsyn", ["read"], []),
            (ORG, org, ["read", "write", "delete", "instantiate", "complete", "inspect"], []),
            (ORG, "nav", ["read", "complete"], []),
        ],
    )


class World:
    """The API and everybody who calls it."""

    def __init__(self, ports: Ports, clock: MovableClock, facts: Facts, keys: dict[str, Any]) -> None:
        self.ports = ports
        self.clock = clock
        self.facts = facts
        self.keys = keys
        self.database = ports.database
        self.app = wire(ports)
        self.transport = httpx2.ASGITransport(app=self.app)
        self.http = httpx2.AsyncClient(transport=self.transport, base_url="http://storage")
        http = HttpClient("http://storage", name="Storage", transport=self.transport)
        self.client, self.apps, self.boxes = StorageClient(http), ApplicationsClient(http), MessageBoxClient(http)
        contents = Contents(ports.database, ports.blobs, clock)
        self.contents = contents
        self.housekeeping = Housekeeping(ports.database, contents, clock)

    def token(self, aud: str = PLATFORM, **claims: Any) -> str:
        now = int(self.clock().timestamp())
        body = {
            "iss": ISSUER, "aud": aud, "sub": "x", "sid": "s", "jti": "j", "iat": now, "nbf": now, "exp": now + 10**9,
            "urn:altinn:authlevel": 3, **claims,
        }  # fmt: skip
        header = {"alg": "ES256", "kid": "user"}
        return jwt.encode(header, body, self.keys["user"], algorithms=["ES256"])

    def user(self, user_id: int = 1001, **claims: Any) -> str:
        return self.token(**{"urn:altinn:userid": user_id, "urn:altinn:partyid": user_id + 50_000, **claims})

    def owner(self, org: str = "ttd", scope: str = "altinn:serviceowner/instances.read", **claims: Any) -> str:
        return self.token(**{"urn:altinn:org": org, "urn:altinn:orgNumber": "910000001", "scope": scope, **claims})

    def component(self, issuer: str = "platform", app: str = "deploy") -> str:
        key = self.keys[issuer]
        text = msgspec.json.encode(key.as_dict(private=True)).decode()
        return PlatformTokenSigner(issuer=issuer, app=app, audience=PLATFORM, key=text, clock=self.clock).token()

    async def call(
        self, method: str, path: str, token: str | None = None, *, platform: str | None = None, json: Any = None,
        headers: dict[str, str] | None = None, content: Any = None, params: Any = None,
    ) -> httpx2.Response:  # fmt: skip
        sent = {**Credentials(token, platform).headers(), **(headers or {})}
        if json is not None:
            content = msgspec.json.encode(json)
            sent["content-type"] = "application/json"
        return await self.http.request(method, BASE + path, headers=sent, content=content, params=params)

    async def publish(self, application: dict[str, Any], policy: bytes | None = None) -> None:
        self.facts.policies[application["id"]] = policy or default_policy(application["org"])
        answer = await self.call(
            "POST", f"/applications?appId={application['id']}", platform=self.component(), json=application
        )
        assert answer.status_code == 201, answer.text

    async def instance(
        self, party: int = 50_001, app: str = APP, token: str | None = None, task: str | None = "Task_1",
        task_type: str = "data", **members: Any,
    ) -> dict[str, Any]:  # fmt: skip
        body = {"instanceOwner": {"partyId": str(party)}, **members}
        if task is not None:
            body["process"] = {
                "started": "2026-11-01T10:00:00Z",
                "startEvent": "StartEvent_1",
                "currentTask": {"elementId": task, "altinnTaskType": task_type, "flow": 2},
            }
        answer = await self.call(
            "POST", f"/instances?appId={app}", token or self.owner(app.partition("/")[0]), json=body
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def element(
        self, instance: dict[str, Any], data_type: str = "model", content: bytes = b"<a/>", token: str | None = None,
        **headers: str,
    ) -> dict[str, Any]:  # fmt: skip
        answer = await self.call(
            "POST", f"/instances/{instance['id']}/data?dataType={data_type}", token or self.user(), content=content,
            headers={"content-type": "application/xml", **headers},
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def get(self, instance: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        answer = await self.call("GET", f"/instances/{instance['id']}", token or self.user())
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def finish(self, instance: dict[str, Any], ended: str = "2026-11-01T13:00:00Z") -> dict[str, Any]:
        state = {"started": "2026-11-01T10:00:00Z", "ended": ended, "endEvent": "EndEvent_1"}
        answer = await self.call("PUT", f"/instances/{instance['id']}/process", self.owner(), json=state)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def blob_paths(self, root: Path) -> list[str]:
        found = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
        return sorted(path.relative_to(root).as_posix() for path in found)


@pytest.fixture(scope="session")
def keys() -> dict[str, Any]:
    names = {"user": "user", "platform": "component", "ttd": "app"}
    return {
        name: ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"}, auto_kid=False)
        for name, kid in names.items()
    }


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


def make_ports(database: Database, blobs: Blobs, keys: dict[str, Any], clock: Clock, facts: Facts) -> Ports:
    """Real parts throughout; the facts, the keys and the register's answers are ours."""

    async def user_keys() -> dict[str, Any]:
        return {"keys": [keys["user"].as_dict(private=False)]}

    async def component_keys(org: str) -> dict[str, Any]:
        return {"keys": [keys[org].as_dict(private=False)] if org in keys else []}

    async def find_party(kind: str, number: str) -> int | None:
        return {("person", "01899912345"): 50_001, ("organisation", "910000001"): 50_002}.get((kind, number))

    return Ports(
        database=database,
        blobs=blobs,
        enforcer=Enforcer(SnapshotDecisionPoint(FactCache(facts, facts, clock=clock), clock=clock)),
        users=TokenVerifier(
            issuer=ISSUER,
            audiences=AudienceRule.platform(scheme="https", domain=DOMAIN),
            jwks=user_keys,
            clock=clock,
            revoked=None,
        ),
        components=PlatformTokenVerifier(audience=PLATFORM, jwks=component_keys, clock=clock),
        find_party=find_party,
        links=f"{PLATFORM}{BASE}",
        clock=clock,
    )


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def blob_folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def make_world(
    make_database: Callable[[str], Awaitable[str]], keys: dict[str, Any], clock: MovableClock, blob_folder: Path
) -> AsyncIterator[MakeWorld]:
    opened = []

    async def make(**changes: Any) -> World:
        database = await open_database(await make_database("storage"), max_size=20)
        opened.append(database)
        facts = Facts()
        ports = make_ports(database, FolderBlobs(blob_folder), keys, clock, facts)
        world = World(msgspec.structs.replace(ports, **changes), clock, facts, keys)
        await world.publish(APPLICATION)
        await world.publish({"id": OTHER_APP, "org": "skd", "dataTypes": [{"id": "model"}]})
        return world

    yield make
    for database in opened:
        await database.close()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()


@pytest.fixture
def policies() -> Callable[..., bytes]:
    return make_policy
