"""Client of service levels, a part of the management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from havn.clients import answers
from havn.contracts.levels import (
    Accepted,
    Agreement,
    Agreements,
    AgreementTerms,
    Batch,
    FiguresAnswer,
    Maintenance,
    MaintenanceList,
    NewMaintenance,
    NewSender,
    RecordSender,
    RecordSenders,
    Report,
)
from havn.kit.http import HttpClient

_BASE = "/management/api/v1/levels"
_NAME = "API management"

Headers = Mapping[str, str]
"""What a call proves: a platform token, or a bearer token."""


class LevelsClient:
    """Calls management through `http`, whose base address is the platform's, or another that leads to `base` there.

    Every failure is a `Problem`.
    """

    def __init__(self, http: HttpClient, base: str = _BASE) -> None:
        self._http = http
        self._base = base

    async def send(self, batch: Batch, headers: Headers) -> bool:
        """Deliver a batch; False when it had come before."""
        return answers.read(await self._send("POST", "/batches", batch, headers), Accepted, of=_NAME).new

    async def agreements(self, org: str, headers: Headers) -> tuple[Agreement, ...]:
        """The org's agreements."""
        response = await self._send("GET", f"/agreements/{quote(org)}", None, headers)
        return answers.read(response, Agreements, of=_NAME).agreements

    async def put_agreement(self, org: str, name: str, terms: AgreementTerms, headers: Headers) -> Agreement:
        """Make or change one."""
        response = await self._send("PUT", f"/agreements/{quote(org)}/{quote(name)}", terms, headers)
        return answers.read(response, Agreement, of=_NAME)

    async def remove_agreement(self, org: str, name: str, headers: Headers) -> None:
        """Take one away."""
        await self._done("DELETE", f"/agreements/{quote(org)}/{quote(name)}", headers)

    async def maintenance(self, org: str, headers: Headers) -> tuple[Maintenance, ...]:
        """The org's planned maintenance, newest first."""
        response = await self._send("GET", f"/maintenance/{quote(org)}", None, headers)
        return answers.read(response, MaintenanceList, of=_NAME).maintenance

    async def declare(self, org: str, wanted: NewMaintenance, headers: Headers) -> Maintenance:
        """Declare maintenance."""
        response = await self._send("POST", f"/maintenance/{quote(org)}", wanted, headers)
        return answers.read(response, Maintenance, of=_NAME)

    async def cancel(self, org: str, id_: str, headers: Headers) -> Maintenance:
        """End maintenance now."""
        response = await self._send("DELETE", f"/maintenance/{quote(org)}/{quote(id_)}", None, headers)
        return answers.read(response, Maintenance, of=_NAME)

    async def senders(self, org: str, headers: Headers) -> tuple[RecordSender, ...]:
        """The org's senders."""
        response = await self._send("GET", f"/senders/{quote(org)}", None, headers)
        return answers.read(response, RecordSenders, of=_NAME).senders

    async def make_sender(self, org: str, name: str, headers: Headers) -> NewSender:
        """Make a sender, or change its secret."""
        response = await self._send("PUT", f"/senders/{quote(org)}/{quote(name)}", None, headers)
        return answers.read(response, NewSender, of=_NAME)

    async def remove_sender(self, org: str, name: str, headers: Headers) -> None:
        """Take a sender away."""
        await self._done("DELETE", f"/senders/{quote(org)}/{quote(name)}", headers)

    async def figures(self, query: Mapping[str, str], headers: Headers) -> FiguresAnswer:
        """Figures of a month."""
        response = await self._send("GET", f"/figures?{urlencode(query)}", None, headers)
        return answers.read(response, FiguresAnswer, of=_NAME)

    async def report(self, org: str, month: str, headers: Headers) -> Report:
        """A month's report."""
        response = await self._send("GET", f"/reports/{quote(org)}/{quote(month)}.json", None, headers)
        return answers.read(response, Report, of=_NAME)

    async def report_text(self, org: str, month: str, kind: str, headers: Headers) -> str:
        """A month's report as `csv` or `html`."""
        response = await self._send("GET", f"/reports/{quote(org)}/{quote(month)}.{kind}", None, headers)
        if not response.is_success:
            raise answers.failure(response, of=_NAME)
        return str(response.text)

    async def _send(self, method: str, path: str, body: Any, headers: Headers) -> Any:
        sent = dict(headers)
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["content-type"] = "application/json"
        return await self._http.request(method, f"{self._base}{path}", headers=sent, content=content)

    async def _done(self, method: str, path: str, headers: Headers) -> None:
        response = await self._send(method, path, None, headers)
        if not response.is_success:
            raise answers.failure(response, of=_NAME)
