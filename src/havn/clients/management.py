"""Client of the management API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts.management import (
    Api,
    ApiDeclaration,
    Application,
    Catalogue,
    CatalogueApi,
    Consumer,
    Declarations,
    Deprecation,
    HistoryEntry,
    Key,
    KeyRequest,
    NewApplication,
    NewKey,
    NewSubscription,
    Plan,
    PlanTerms,
    QuotaStanding,
    Subscription,
    SubscriptionAct,
    SubscriptionChange,
    Usage,
)
from havn.kit.http import HttpClient, Response

BASE = "/management/api/v1"
_NAME = "Management"


class ManagementClient:
    """Calls management through `http`, whose base address is the platform's, or another that leads to `base` there."""

    def __init__(self, http: HttpClient, base: str = BASE) -> None:
        self._http = http
        self._base = base

    async def declare(self, org: str, app: str, wanted: Declarations, credentials: Credentials) -> list[Api]:
        """Make the app's declared Apis exactly `wanted`; only the platform component `deploy` may."""
        return answers.read(
            await self._send("PUT", f"apps/{_part(org)}/{_part(app)}/apis", credentials, wanted), list[Api], of=_NAME
        )

    async def catalogue(self, credentials: Credentials, words: str = "") -> Catalogue:
        """What everybody may find."""
        return answers.read(await self._get("catalogue", credentials, q=words), Catalogue, of=_NAME)

    async def found(self, api: str, credentials: Credentials) -> CatalogueApi:
        """One Api as the catalogue shows it; 404 when it is not there."""
        return answers.read(await self._get(f"catalogue/{_part(api)}", credentials), CatalogueApi, of=_NAME)

    # For those who offer Apis.

    async def apis(self, credentials: Credentials, org: str | None = None, app: str | None = None) -> list[Api]:
        """Apis, drafts too."""
        return answers.read(await self._get("apis", credentials, org=org, app=app), list[Api], of=_NAME)

    async def write(self, api: str, terms: ApiDeclaration, credentials: Credentials) -> Api:
        """Make or change one with its plans; 409 when its app declares it."""
        return answers.read(await self._send("PUT", f"apis/{_part(api)}", credentials, terms), Api, of=_NAME)

    async def remove(self, api: str, credentials: Credentials) -> bool:
        """Remove it; False when it is retired instead, because somebody uses it."""
        response = await self._send("DELETE", f"apis/{_part(api)}", credentials)
        if response.status_code == 204:
            return True
        answers.read(response, Api, of=_NAME)
        return False

    async def deprecate(self, api: str, wanted: Deprecation, credentials: Credentials) -> Api:
        """Say that it should no longer be taken into use."""
        return answers.read(
            await self._send("POST", f"apis/{_part(api)}/deprecate", credentials, wanted), Api, of=_NAME
        )

    async def plans(self, api: str, credentials: Credentials) -> list[Plan]:
        """Its plans, closed ones too."""
        return answers.read(await self._get(f"apis/{_part(api)}/plans", credentials), list[Plan], of=_NAME)

    async def write_plan(self, api: str, terms: PlanTerms, credentials: Credentials) -> Plan:
        """Make or change a plan."""
        path = f"apis/{_part(api)}/plans/{_part(terms.name)}"
        return answers.read(await self._send("PUT", path, credentials, terms), Plan, of=_NAME)

    async def close_plan(self, api: str, plan: str, credentials: Credentials) -> None:
        """Take a plan away from those who do not have it."""
        _done(await self._send("DELETE", f"apis/{_part(api)}/plans/{_part(plan)}", credentials))

    async def consumers(self, api: str, credentials: Credentials) -> list[Consumer]:
        """Who uses it."""
        return answers.read(await self._get(f"apis/{_part(api)}/consumers", credentials), list[Consumer], of=_NAME)

    async def requests(
        self, credentials: Credentials, org: str | None = None, state: str | None = None
    ) -> list[Subscription]:
        """Subscriptions to an owner's Apis, newest first."""
        return answers.read(
            await self._get("requests", credentials, org=org, state=state), list[Subscription], of=_NAME
        )

    async def change(
        self, subscription: str, act: SubscriptionAct, wanted: SubscriptionChange, credentials: Credentials
    ) -> Subscription:
        """Approve, reject, suspend, resume or revoke."""
        path = f"subscriptions/{_part(subscription)}/{act}"
        return answers.read(await self._send("POST", path, credentials, wanted), Subscription, of=_NAME)

    async def history(
        self, credentials: Credentials, org: str | None = None, before: int | None = None
    ) -> list[HistoryEntry]:
        """Changes, newest first, a hundred at a time."""
        return answers.read(
            await self._get("history", credentials, org=org, before=before), list[HistoryEntry], of=_NAME
        )

    # For those who use them.

    async def register(self, new: NewApplication, credentials: Credentials) -> Application:
        """Make an application."""
        return answers.read(await self._send("POST", "applications", credentials, new), Application, of=_NAME)

    async def applications(self, owner: str, credentials: Credentials) -> list[Application]:
        """An organisation's applications."""
        return answers.read(await self._get("applications", credentials, owner=owner), list[Application], of=_NAME)

    async def ask(self, wanted: NewSubscription, credentials: Credentials) -> Subscription:
        """Ask for a plan."""
        return answers.read(await self._send("POST", "subscriptions", credentials, wanted), Subscription, of=_NAME)

    async def subscription(self, id_: str, credentials: Credentials) -> Subscription:
        """One subscription."""
        return answers.read(await self._get(f"subscriptions/{_part(id_)}", credentials), Subscription, of=_NAME)

    async def keys(self, subscription: str, credentials: Credentials) -> list[Key]:
        """What may be shown of its keys."""
        return answers.read(
            await self._get(f"subscriptions/{_part(subscription)}/keys", credentials), list[Key], of=_NAME
        )

    async def make_key(self, subscription: str, wanted: KeyRequest, credentials: Credentials) -> NewKey:
        """Make a key: this answer is the only one that shows it."""
        path = f"subscriptions/{_part(subscription)}/keys"
        return answers.read(await self._send("POST", path, credentials, wanted), NewKey, of=_NAME)

    async def rotate_key(self, subscription: str, prefix: str, wanted: KeyRequest, credentials: Credentials) -> NewKey:
        """Another key in place of this one."""
        path = f"subscriptions/{_part(subscription)}/keys/{_part(prefix)}/rotate"
        return answers.read(await self._send("POST", path, credentials, wanted), NewKey, of=_NAME)

    async def revoke_key(self, subscription: str, prefix: str, credentials: Credentials) -> None:
        """End a key at once."""
        _done(await self._send("DELETE", f"subscriptions/{_part(subscription)}/keys/{_part(prefix)}", credentials))

    async def usage(self, subscription: str, credentials: Credentials, days: int = 30) -> list[Usage]:
        """Its days with requests."""
        return answers.read(
            await self._get(f"subscriptions/{_part(subscription)}/usage", credentials, days=days), list[Usage], of=_NAME
        )

    async def quotas(self, subscription: str, credentials: Credentials) -> list[QuotaStanding]:
        """What is used of its quotas in the period that goes on."""
        return answers.read(
            await self._get(f"subscriptions/{_part(subscription)}/quotas", credentials), list[QuotaStanding], of=_NAME
        )

    async def _get(self, path: str, credentials: Credentials, **query: Any) -> Response:
        params = {name: str(value) for name, value in query.items() if value is not None}
        return await self._http.request("GET", f"{self._base}/{path}", params=params, headers=credentials.headers())

    async def _send(self, method: str, path: str, credentials: Credentials, body: Any = None) -> Response:
        return await self._http.request(
            method,
            f"{self._base}/{path}",
            content=msgspec.json.encode(body) if body is not None else None,
            headers=credentials.headers() | ({"content-type": "application/json"} if body is not None else {}),
        )


def _part(text: str) -> str:
    return quote(text, safe="")


def _done(response: Response) -> None:
    if not response.is_success:
        raise answers.failure(response, of=_NAME)
