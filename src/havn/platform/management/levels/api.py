"""Routes of service levels, below `/management/api/v1/levels`: translation only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from havn.contracts.levels import (
    SENDER_HEADER,
    Accepted,
    AgreementTerms,
    Batch,
    MaintenanceList,
    NewMaintenance,
    RecordSenders,
    Targets,
)
from havn.contracts.levels import Agreements as AgreementList
from havn.engines.levels.periods import Month
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import MiB, json_response, read_json
from havn.platform.management.levels.agreements import Agreements
from havn.platform.management.levels.ingest import Ingest
from havn.platform.management.levels.measuring import Measuring, scope
from havn.platform.management.levels.rendering import as_csv, as_page
from havn.platform.management.levels.reporting import Reporting
from havn.platform.management.levels.senders import Senders
from havn.platform.management.levels.store.agreements import AgreementStore, Author
from havn.platform.management.levels.store.counts import Filter
from havn.platform.management.levels.store.senders import SenderStore

OrgAccess = Callable[[Request, str], Awaitable[Author]]
"""Who calls, if what is the org's is theirs to read and change; else a `Problem`."""
Ingress = Callable[[Request], Awaitable[None]]
"""Lets the sender of the platform's own ingress pass; else raises a `Problem`."""

_BYS = ("app", "version", "subscription")
_BATCH_LIMIT = 8 * MiB


class LevelsApi:
    """The routes."""

    def __init__(
        self,
        *,
        ingest: Ingest,
        agreements: Agreements,
        store: AgreementStore,
        measuring: Measuring,
        reporting: Reporting,
        senders: Senders,
        sender_store: SenderStore,
        org_access: OrgAccess,
        ingress: Ingress,
        clock: Clock,
    ) -> None:
        self._ingest = ingest
        self._agreements = agreements
        self._store = store
        self._measuring = measuring
        self._reporting = reporting
        self._senders = senders
        self._sender_store = sender_store
        self._may = org_access
        self._ingress = ingress
        self._clock = clock

    def routes(self, base: str) -> list[BaseRoute]:
        """All of them, below `base`."""
        at = f"{base}/levels"
        return [
            Route(f"{at}/batches", self.take, methods=["POST"]),
            Route(f"{at}/figures", self.figures),
            Route(f"{at}/burn", self.burn),
            Route(f"{at}/agreements/{{org}}", self.listed),
            Route(f"{at}/agreements/{{org}}/{{name}}", self.put, methods=["PUT"]),
            Route(f"{at}/agreements/{{org}}/{{name}}", self.remove, methods=["DELETE"]),
            Route(f"{at}/maintenance/{{org}}", self.maintenance),
            Route(f"{at}/maintenance/{{org}}", self.declare, methods=["POST"]),
            Route(f"{at}/maintenance/{{org}}/{{id}}", self.cancel, methods=["DELETE"]),
            Route(f"{at}/senders/{{org}}", self.senders),
            Route(f"{at}/senders/{{org}}/{{name}}", self.make_sender, methods=["PUT"]),
            Route(f"{at}/senders/{{org}}/{{name}}", self.remove_sender, methods=["DELETE"]),
            Route(f"{at}/reports/{{org}}/{{month}}", self.report),
        ]

    def pages(self, base: str) -> list[Route]:
        """What the host of the pages shows: the reports, and the figures that they link to at `base`."""
        return [
            Route("/levels/{org}/{month}", self.report, methods=["GET"]),
            Route(f"{base}/levels/figures", self.figures, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Response:
        """A batch of an ingress."""
        org: str | None = None
        if (token := request.headers.get(SENDER_HEADER)) is not None:
            org = await self._senders.org_of(token)
        else:
            await self._ingress(request)
        batch = await read_json(request, Batch, limit=_BATCH_LIMIT)
        return json_response(Accepted(new=await self._ingest.take(batch, org)))

    async def figures(self, request: Request) -> Response:
        """Figures of a month: `org`, and any of `app`, `version`, `subscription`, `api`, `plan`, `agreement`, `by`."""
        query = request.query_params
        org = _code(query.get("org", ""))
        await self._may(request, org)
        which = Filter(
            org=org,
            **{name: query[name] for name in ("app", "version", "subscription", "api", "plan") if name in query},
        )
        by: Any = query.get("by")
        if by is not None and by not in _BYS:
            raise _wrong(f"by must be one of {', '.join(_BYS)}.")
        targets: Targets | None = None
        name = query.get("agreement")
        if name is not None:
            agreement = await self._store.get(org, name)
            if agreement is None:
                raise Problem(404, "There is no such agreement.", code="unknown_agreement")
            targets = agreement.targets
            # The agreement's own scope holds; what the query says besides can only narrow it.
            own = {key: value for key, value in msgspec.structs.asdict(scope(agreement)).items() if value is not None}
            which = msgspec.structs.replace(which, **own)
        month = self._month(query.get("month"))
        return json_response(
            await self._measuring.month(month, which, targets=targets, agreement=name, by=by)
        )  # fmt: skip

    async def burn(self, request: Request) -> Response:
        """How fast the budget of an agreement burns now: `org` and `agreement`."""
        org = _code(request.query_params.get("org", ""))
        await self._may(request, org)
        agreement = await self._store.get(org, request.query_params.get("agreement", ""))
        if agreement is None:
            raise Problem(404, "There is no such agreement.", code="unknown_agreement")
        return json_response((await self._measuring.burn(agreement)).rates)

    async def listed(self, request: Request) -> Response:
        """The org's agreements."""
        org = _code(request.path_params["org"])
        await self._may(request, org)
        return json_response(AgreementList(agreements=tuple(await self._store.all(org))))

    async def put(self, request: Request) -> Response:
        """Make or change an agreement."""
        org, name = _code(request.path_params["org"]), _code(request.path_params["name"])
        author = await self._may(request, org)
        terms = await read_json(request, AgreementTerms, strict=False)
        return json_response(await self._agreements.put(org, name, terms, author))

    async def remove(self, request: Request) -> Response:
        """Take an agreement away."""
        org, name = _code(request.path_params["org"]), _code(request.path_params["name"])
        author = await self._may(request, org)
        if not await self._store.remove(org, name, author, self._clock()):
            raise Problem(404, "There is no such agreement.", code="unknown_agreement")
        return Response(status_code=204)

    async def maintenance(self, request: Request) -> Response:
        """The org's planned maintenance."""
        org = _code(request.path_params["org"])
        await self._may(request, org)
        return json_response(MaintenanceList(maintenance=tuple(await self._store.maintenance(org))))

    async def declare(self, request: Request) -> Response:
        """Declare maintenance."""
        org = _code(request.path_params["org"])
        author = await self._may(request, org)
        wanted = await read_json(request, NewMaintenance)
        return json_response(await self._agreements.declare(org, wanted, author), 201)

    async def cancel(self, request: Request) -> Response:
        """End maintenance now."""
        org = _code(request.path_params["org"])
        author = await self._may(request, org)
        return json_response(await self._agreements.cancel(org, request.path_params["id"], author))

    async def senders(self, request: Request) -> Response:
        """The org's senders."""
        org = _code(request.path_params["org"])
        await self._may(request, org)
        return json_response(RecordSenders(senders=tuple(await self._sender_store.all(org))))

    async def make_sender(self, request: Request) -> Response:
        """Make a sender, or change its secret; the answer alone shows it."""
        org, name = _code(request.path_params["org"]), _code(request.path_params["name"])
        author = await self._may(request, org)
        made = await self._senders.make(org, name, author)
        return json_response(made, headers={"cache-control": "no-store"})

    async def remove_sender(self, request: Request) -> Response:
        """Take a sender away."""
        org, name = _code(request.path_params["org"]), _code(request.path_params["name"])
        author = await self._may(request, org)
        if not await self._sender_store.remove(org, name, author, self._clock()):
            raise Problem(404, "There is no such sender.", code="unknown_sender")
        return Response(status_code=204)

    async def report(self, request: Request) -> Response:
        """A month's report: `2026-03.json`, `2026-03.csv`, `2026-03.html`, or `2026-03` as the client accepts."""
        org = _code(request.path_params["org"])
        await self._may(request, org)
        text, _, kind = request.path_params["month"].partition(".")
        if not kind:
            kind = "html" if "text/html" in request.headers.get("accept", "") else "json"
        if kind not in ("json", "csv", "html"):
            raise Problem(404, "A report is JSON, CSV or HTML.", code="unknown_format")
        report = await self._reporting.report(org, self._month(text))
        headers = {"cache-control": "no-store", "vary": "accept, accept-language"}
        if kind == "json":
            return json_response(report, headers=headers)
        if kind == "csv":
            headers["content-disposition"] = f'attachment; filename="{org}-{report.month}.csv"'
            return Response(as_csv(report), headers=headers, media_type="text/csv; charset=utf-8")
        headers["content-security-policy"] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
        page = as_page(report, _language(request.headers.get("accept-language", "")))
        return Response(page, headers=headers, media_type="text/html; charset=utf-8")

    def _month(self, text: str | None) -> Month:
        try:
            return Month.parse(text) if text is not None else Month.of(self._clock())
        except ValueError as error:
            raise _wrong(f"{error}.") from None


def _code(text: str) -> str:
    if (
        not text
        or len(text) > 63
        or not text[0].isalpha()
        or not text.replace("-", "a").isalnum()
        or not text.isascii()
    ):
        raise _wrong("Names are lower-case letters, digits and hyphens, and begin with a letter.")
    return text


def _language(header: str) -> str:
    for part in header.lower().split(","):
        tag = part.partition(";")[0].strip().partition("-")[0]
        if tag in ("nb", "nn", "en"):
            return tag
        if tag == "no":
            return "nb"
    return "nb"


def _wrong(detail: str) -> Problem:
    return Problem(400, detail, code="invalid_query")
