"""A platform of authorization and register on real databases and a real port, with keys and people of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts.register import Organization, PartyType, Person
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit import db
from havn.kit.http import HttpClient
from havn.kit.serve import serve
from havn.platform.authorization import app as authorization
from havn.platform.authorization.settings import AuthorizationSettings
from havn.platform.register import app as register
from havn.platform.register import store as register_store
from havn.platform.register.settings import Settings as RegisterSettings

DOMAIN = "havn.example"
PLATFORM = f"http://platform.{DOMAIN}"
ISSUER = f"{PLATFORM}/authentication/api/v1/openid/"
BASE = "/authorization/api/v1"

STRING = "http://www.w3.org/2001/XMLSchema#string"
S = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
R = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
A = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"
FOLDED = "urn:oasis:names:tc:xacml:3.0:function:string-equal-ignore-case"
EQUAL = "urn:oasis:names:tc:xacml:1.0:function:string-equal"
TAGS = ("ttd", "permit")

# People and companies: Kari leads the bakery, Ola is its board member, Eva keeps its books through her own firm.
KARI, OLA, EVA, LISE = 501, 502, 503, 504
BAKERY, BRANCH, BOOKS, SHOP = 5101, 5102, 5103, 5104
USERS = {KARI: 1501, OLA: 1502, EVA: 1503, LISE: 1504}


def uuid_of(party: int) -> str:
    return f"00000000-0000-4000-8000-{party:012d}"


def _match(category: str, attribute: str, value: str, function: str) -> str:
    return (
        f'<Match MatchId="{function}"><AttributeValue DataType="{STRING}">{value}</AttributeValue><AttributeDesignator'
        f' AttributeId="{attribute}" Category="{category}" DataType="{STRING}" MustBePresent="false"/></Match>'
    )


def rule(
    id_: str,
    who: Sequence[tuple[str, str]],
    actions: Sequence[str],
    task: str | None = None,
    effect: str = "Permit",
    about: tuple[str, str] = TAGS,
) -> str:
    subjects = "".join(f"<AllOf>{_match(S, *pair, FOLDED)}</AllOf>" for pair in who)
    place = _match(R, "urn:altinn:org", about[0], EQUAL) + _match(R, "urn:altinn:app", about[1], EQUAL)
    if task is not None:
        place += _match(R, "urn:altinn:task", task, EQUAL)
    doings = "".join(f"<AllOf>{_match(A, ACTION, action, FOLDED)}</AllOf>" for action in actions)
    return (
        f'<Rule RuleId="{id_}" Effect="{effect}"><Target><AnyOf>{subjects}</AnyOf><AnyOf><AllOf>{place}</AllOf></AnyOf>'
        f"<AnyOf>{doings}</AnyOf></Target></Rule>"
    )


def level(value: int, owner: int | None = None) -> str:
    def one(number: int, category: str) -> str:
        return (
            f'<ObligationExpression ObligationId="urn:altinn:obligation:level{number}" FulfillOn="Permit">'
            f'<AttributeAssignmentExpression AttributeId="urn:altinn:obligation{number}" Category="{category}">'
            f'<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">{value if number == 1 else owner}'
            "</AttributeValue></AttributeAssignmentExpression></ObligationExpression>"
        )

    text = one(1, "urn:altinn:minimum-authenticationlevel")
    if owner is not None:
        text += one(2, "urn:altinn:minimum-authenticationlevel-org")
    return f"<ObligationExpressions>{text}</ObligationExpressions>"


def policy(*rules: str, obligations: str = "") -> bytes:
    return (
        '<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="urn:altinn:policyid:1" Version="1.0"'
        ' RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>'
        f"{''.join(rules)}{obligations}</Policy>"
    ).encode()


ROLE, PACKAGE, OWNER = "urn:altinn:rolecode", "urn:altinn:accesspackage", "urn:altinn:org"
PERMIT_POLICY = policy(
    rule("leaders", [(ROLE, "DAGL"), (ROLE, "priv")], ["read", "instantiate"]),
    rule("leaders-write", [(ROLE, "dagl")], ["write"], task="Task_1"),
    rule("sign", [(ROLE, "dagl")], ["sign"], task="Task_2"),
    rule("tax", [(PACKAGE, "skattegrunnlag")], ["fetch"]),
    rule("owner", [(OWNER, "ttd")], ["read", "complete", "instantiate", "write"]),
    obligations=level(3, 2),
)


class MovableClock:
    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def forward(self, **period: float) -> None:
        self.offset += timedelta(**period)


class Platform:
    """The running platform: its address, its keys, and people to act as."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.user_key = self._key("user")
        self.component_keys = {name: self._key(name) for name in ("deploy", "storage", "authorization", "register")}
        self.app_keys = {("ttd", "permit"): self._key("ttd-permit"), ("skd", "tax"): self._key("skd-tax")}
        self.url = ""
        self.register_url = ""
        self.authorization_url = ""
        self.auth_info: dict[str, dict[str, Any]] = {}
        self.auth_info_asked = 0
        self.applications: list[dict[str, Any]] = []
        self.storage_away = False
        self.found: dict[str, Any] = {"count": 0, "self": None, "next": None, "instances": []}
        self.storage_asked: list[tuple[str, str]] = []
        self.register_away = False
        self.register_asked = 0
        self.roles: list[tuple[int, int, str]] = [
            (BAKERY, KARI, "dagl"),
            (BAKERY, OLA, "medl"),
            (BAKERY, BOOKS, "regn"),
            (BOOKS, EVA, "dagl"),
        ]

    @staticmethod
    def _key(kid: str) -> ECKey:
        return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"}, auto_kid=False)

    def private(self, key: ECKey) -> str:
        return msgspec.json.encode(key.as_dict(private=True)).decode()

    def signer(self, issuer: str, app: str) -> PlatformTokenSigner:
        key = self.component_keys[app] if issuer == "platform" else self.app_keys[issuer, app]
        return PlatformTokenSigner(issuer=issuer, app=app, audience=PLATFORM, key=self.private(key), clock=self.clock)

    def component(self, name: str) -> dict[str, str]:
        return self.signer("platform", name).headers()

    def app(self, org: str = "ttd", app: str = "permit") -> dict[str, str]:
        return self.signer(org, app).headers()

    def token(self, **claims: Any) -> str:
        now = int(self.clock().timestamp())
        whole = {"iss": ISSUER, "aud": PLATFORM, "sub": "x", "jti": "j", "iat": now, "nbf": now, "exp": now + 1800}
        return jwt.encode({"alg": "ES256", "kid": "user"}, whole | claims, self.user_key, algorithms=["ES256"])

    def user_token(self, party: int, *, level: int = 3, aud: str = PLATFORM) -> str:
        return self.token(
            **{
                "aud": aud,
                "sid": f"s{party}",
                "urn:altinn:userid": str(USERS[party]),
                "urn:altinn:partyid": party,
                "urn:altinn:party:uuid": uuid_of(party),
                "urn:altinn:authlevel": level,
                "scope": "openid altinn:portal/enduser",
            }
        )

    def user(self, party: int, **options: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.user_token(party, **options)}"}

    def owner(self, org: str = "ttd", *, level: int = 3, scope: str = "altinn:serviceowner") -> dict[str, str]:
        claims = {"urn:altinn:org": org, "urn:altinn:orgNumber": "310000000", "urn:altinn:authlevel": level}
        return {"Authorization": f"Bearer {self.token(**claims, scope=scope)}"}

    def http(self) -> HttpClient:
        return HttpClient(self.url, name="The platform", host=f"platform.{DOMAIN}")

    async def import_roles(self) -> None:
        store = await register_store.Store.open(self.register_url)
        try:
            await store.import_all("test", str(self.roles), _parties(), _roles(self.roles), self.clock())
        finally:
            await store.close()

    async def sql(self, statement: str, *args: Any) -> list[Any]:
        database = await db.Database.open(self.authorization_url, "authorization")
        try:
            return await database.fetch(statement, *args)
        finally:
            await database.close()

    def dispatcher(self, parts: dict[str, Starlette]) -> Any:
        async def dispatch(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                while (message := await receive())["type"] != "lifespan.shutdown":
                    await send({"type": f"{message['type']}.complete"})
                await send({"type": "lifespan.shutdown.complete"})
                return
            first = scope["path"].split("/")[1]
            if first == "register":
                self.register_asked += 1
                if self.register_away:
                    await JSONResponse({"title": "away"}, 503)(scope, receive, send)
                    return
            # What this platform has not got is not found, as with any other.
            part = parts.get(first, JSONResponse({"title": "Not Found"}, 404))
            await part(scope, receive, send)

        return dispatch

    def authentication(self) -> Starlette:
        async def jwks(request: Any) -> JSONResponse:
            return JSONResponse({"keys": [self.user_key.as_dict(private=False)]})

        async def component_jwks(request: Any) -> JSONResponse:
            if request.path_params["org"] == "platform":
                keys = [{**key.as_dict(private=False), "app": name} for name, key in self.component_keys.items()]
            else:
                keys = [
                    {**key.as_dict(private=False), "app": app}
                    for (org, app), key in self.app_keys.items()
                    if org == request.path_params["org"]
                ]
            return JSONResponse({"keys": keys})

        async def revocations(request: Any) -> JSONResponse:
            await asyncio.sleep(min(float(request.query_params.get("wait", 0)), 0.2))
            return JSONResponse({"next": 0, "revoked": []})

        base = "/authentication/api/v1"
        return Starlette(
            routes=[
                Route(f"{base}/openid/.well-known/openid-configuration/jwks", jwks),
                Route(f"{base}/access-token/{{org}}/jwks", component_jwks),
                Route(f"{base}/revocations", revocations),
            ]
        )

    def storage(self) -> Starlette:
        async def auth_info(request: Any) -> JSONResponse:
            self.auth_info_asked += 1
            found = self.auth_info.get(f"{request.path_params['party']}/{request.path_params['guid']}")
            return JSONResponse(found) if found is not None else JSONResponse({"title": "Not Found"}, 404)

        async def applications(request: Any) -> JSONResponse:
            if self.storage_away:
                return JSONResponse({"title": "away"}, 503)
            return JSONResponse({"applications": self.applications})

        async def application(request: Any) -> JSONResponse:
            wanted = f"{request.path_params['org']}/{request.path_params['app']}"
            found = next((one for one in self.applications if one["id"] == wanted), None)
            if self.storage_away:
                return JSONResponse({"title": "away"}, 503)
            return JSONResponse(found) if found is not None else JSONResponse({"title": "Not Found"}, 404)

        async def instances(request: Any) -> JSONResponse:
            self.storage_asked.append((str(request.url.query), request.headers.get("authorization", "")))
            return JSONResponse(self.found)

        base = "/storage/api/v1"
        return Starlette(
            routes=[
                Route(f"{base}/instances", instances),
                Route(f"{base}/instances/{{party}}/{{guid}}/process/authinfo", auth_info),
                Route(f"{base}/applications", applications),
                Route(f"{base}/applications/{{org}}/{{app}}", application),
            ]
        )


def _parties() -> list[register_store.NewParty]:
    def person(party: int, name: str) -> register_store.NewParty:
        return register_store.NewParty(
            id=party, uuid=uuid_of(party), type=PartyType.PERSON, external_urn=f"urn:person:{party}",
            number=None, name=name, user_id=USERS[party], username=name.lower(),
            person=Person(ssn="", name=name, first_name=name, last_name="Test"),
        )  # fmt: skip

    def company(party: int, name: str, number: str, main: int | None = None) -> register_store.NewParty:
        return register_store.NewParty(
            id=party, uuid=uuid_of(party), type=PartyType.ORGANISATION, external_urn=f"urn:org:{party}",
            number=number, name=name, unit_type="BEDR" if main else "AS", main_unit=uuid_of(main) if main else None,
            organization=Organization(org_number=number, name=name, unit_type="AS"),
        )  # fmt: skip

    return [
        person(KARI, "Kari"),
        person(OLA, "Ola"),
        person(EVA, "Eva"),
        person(LISE, "Lise"),
        company(BAKERY, "Bakeriet", "310000001"),
        company(BRANCH, "Bakeriet Nord", "310000002", BAKERY),
        company(BOOKS, "Regnskap", "310000003"),
        company(SHOP, "Butikken", "310000019"),
    ]


def _roles(roles: Sequence[tuple[int, int, str]]) -> list[register_store.NewRole]:
    return [
        register_store.NewRole(from_party=uuid_of(giver), to_party=uuid_of(holder), code=code, source="ccr")
        for giver, holder, code in roles
    ]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
async def platform(make_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Platform]:
    """The platform, serving until the test is over."""
    made = Platform()
    made.register_url, made.authorization_url = await make_database("register"), await make_database("authorization")
    await made.import_roles()
    port = _free_port()
    made.url = f"http://127.0.0.1:{port}"
    common = {"domain": DOMAIN, "scheme": "http", "platform_url": made.url}
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts = {"authentication": made.authentication(), "storage": made.storage()}
        dispatcher = made.dispatcher(parts)
        serving = asyncio.create_task(serve(dispatcher, port=port, stop=stop))
        parts["register"] = await register.build(
            RegisterSettings(
                **common,
                environment_type="test",
                register_database_url=made.register_url,
                platform_access_key=made.private(made.component_keys["register"]),
            ),
            clock=made.clock,
        )
        parts["authorization"] = await authorization.build(
            AuthorizationSettings(
                **common,
                authorization_database_url=made.authorization_url,
                platform_access_key=made.private(made.component_keys["authorization"]),
            ),
            clock=made.clock,
        )
        parts["accessmanagement"] = parts["resourceregistry"] = parts["authorization"]
        for name in ("register", "authorization"):
            await stack.enter_async_context(parts[name].router.lifespan_context(parts[name]))
        yield made
    stop.set()
    await serving


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[HttpClient]:
    client = platform.http()
    yield client
    await client.close()


@pytest.fixture
async def client(http: HttpClient) -> AuthorizationClient:
    return AuthorizationClient(http)


@pytest.fixture
async def published(platform: Platform, client: AuthorizationClient) -> None:
    """The app ttd/permit has its policy."""
    credentials = Credentials(platform_token=platform.signer("platform", "deploy").token())
    await client.publish_policy("ttd", "permit", PERMIT_POLICY, credentials, release="sha256:1")


@pytest.fixture
def make_policy() -> Any:
    """Builders of policies: `rule`, `policy`, `level`."""

    class Builders:
        rule = staticmethod(rule)
        policy = staticmethod(policy)
        level = staticmethod(level)
        permit = PERMIT_POLICY

    return Builders


@pytest.fixture
def ask() -> Callable[..., bytes]:
    """A JSON request: subject attributes, resource attributes, actions."""

    def make(subject: dict[str, str], resources: list[dict[str, str]] | dict[str, str], *actions: str) -> bytes:
        places = resources if isinstance(resources, list) else [resources]
        attributes = lambda pairs: [{"AttributeId": name, "Value": value} for name, value in pairs.items()]  # noqa: E731
        request: dict[str, Any] = {
            "AccessSubject": [{"Id": "s1", "Attribute": attributes(subject)}],
            "Action": [
                {
                    "Id": f"a{number}",
                    "Attribute": [{"AttributeId": ACTION, "Value": action, "IncludeInResult": True}],
                }
                for number, action in enumerate(actions, 1)
            ],
            "Resource": [
                {"Id": f"r{number}", "Attribute": attributes(place)} for number, place in enumerate(places, 1)
            ],
        }
        if len(actions) * len(places) > 1:
            request["MultiRequests"] = {
                "RequestReference": [
                    {"ReferenceId": ["s1", f"a{a}", f"r{r}"]}
                    for r in range(1, len(places) + 1)
                    for a in range(1, len(actions) + 1)
                ]
            }
        return msgspec.json.encode({"Request": request})

    return make
