"""`havn policy`: try, examine and compare app policies, offline with the engine that decides in production."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from havn.cli import policy_sources as sources
from havn.clients.credentials import Credentials
from havn.engines.app_policy import cases, lint, table
from havn.engines.xacml import Decision, PolicyError, RequestError, compile_policy, json_profile, xml_profile
from havn.engines.xacml import decide as decide_all
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

app = App(name="policy", help="Test, lint, compare, replay and show app policies.")

AsOption = Annotated[str | None, Parameter(name="--as")]
JsonOption = Annotated[bool, Parameter(name="--json", negative="")]


@app.command(name="test")
def run_cases(path: Path = Path(), *, cases_: Annotated[Path | None, Parameter(name="--cases")] = None,
         as_: AsOption = None, json_: JsonOption = False) -> None:  # fmt: skip
    """Run the cases written beside a policy; exit code 1 when any fails.

    Parameters
    ----------
    path
        An app folder or a policy file.
    cases_
        The file of cases; without it, policy.test.yaml beside the policy.
    as_
        ORG/APP, for a policy with placeholders.
    json_
        Write the outcomes as JSON.
    """
    with _plainly():
        source = sources.read(path, as_)
        file, where = sources.read_cases(source, cases_)
        outcomes = cases.run(compile_policy(source.document), file, org=source.org, app=source.app, now=_now())
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if json_:
        _json({"cases": str(where), "passed": len(outcomes) - len(failed), "failed": len(failed), "outcomes": outcomes})
    else:
        for outcome in failed:
            _say(
                f"FAILED case {outcome.number} ({outcome.name}): {outcome.action} should be"
                f" {'allowed' if outcome.expected == 'allow' else 'denied'}, but is {outcome.decision}"
                + (f" by rule {outcome.rule}" if outcome.rule else "")
            )
        _say(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed ({where}).")
    if failed:
        sys.exit(1)


@app.command(name="lint")
def lint_(path: Path = Path(), *, as_: AsOption = None, strict: Annotated[bool, Parameter(negative="")] = False,
          json_: JsonOption = False) -> None:  # fmt: skip
    """Find what is wrong or doubtful: dead and shadowed rules, unknown roles and tasks, actions nothing asks about.

    Parameters
    ----------
    path
        An app folder or a policy file.
    as_
        ORG/APP, for a policy with placeholders.
    strict
        Exit with 1 for warnings too, not only for errors.
    json_
        Write the findings as JSON.
    """
    with _plainly():
        source = sources.read(path, as_)
        compile_policy(source.document)
        found = lint.lint(source.document, source.facts)
    if json_:
        _json({"policy": str(source.path), "findings": found})
    else:
        for finding in found:
            place = f"{source.path}:{finding.line}" if finding.line else str(source.path)
            rule = f" (rule {finding.rule})" if finding.rule else ""
            _say(f"{place}: {finding.severity}: {finding.message}{rule} [{finding.code}]")
            if finding.hint:
                _say(f"    {finding.hint}")
        errors = sum(finding.severity == "error" for finding in found)
        _say(f"{errors} errors, {len(found) - errors} warnings.")
    if any(finding.severity == "error" or strict for finding in found):
        sys.exit(1)


@app.command
def diff(old: Path, new: Path, *, as_: AsOption = None, json_: JsonOption = False) -> None:
    """Show by truth table what changes between two policies: every right gained and lost.

    Parameters
    ----------
    old
        The policy (file or app folder) as it is.
    new
        The policy as it will be.
    as_
        ORG/APP, for policies with placeholders.
    json_
        Write the rows as JSON.
    """
    with _plainly():
        before, after = sources.read(old, as_), sources.read(new, as_)
        rows = table.diff(
            before.document, after.document, now=_now(),
            tasks=list(dict.fromkeys((*before.tasks, *after.tasks))),
            end_events=list(dict.fromkeys((*before.end_events, *after.end_events))),
        )  # fmt: skip
    if json_:
        _json(
            [
                {"subject": str(row.subject), "place": str(row.place), "action": row.action, "was": row.was,
                 "becomes": row.becomes}
                for row in rows
            ]
        )  # fmt: skip
        return
    if not rows:
        _say("Nothing changes: both decide everything they name alike.")
        return
    drawn = Table("", "who", "where", "action", "was", "becomes")
    for row in rows:
        sign = "+" if row.gained else "-" if row.was.startswith("Permit") else " "
        drawn.add_row(sign, str(row.subject), str(row.place), row.action, row.was, row.becomes)
    _draw(drawn)
    gained = sum(row.gained for row in rows)
    lost = sum(row.was.startswith("Permit") and not row.becomes.startswith("Permit") for row in rows)
    _say(f"{gained} rights gained, {lost} lost, {len(rows) - gained - lost} otherwise changed.")


@app.command
def show(path: Path = Path(), *, as_: AsOption = None, json_: JsonOption = False) -> None:
    """Print a policy as a table: who may do which actions in which task.

    Parameters
    ----------
    path
        An app folder or a policy file.
    as_
        ORG/APP, for a policy with placeholders.
    json_
        Write every row as JSON.
    """
    with _plainly():
        source = sources.read(path, as_)
        world = table.domain([source.document], tasks=source.tasks, end_events=source.end_events)
        rows = table.decide(compile_policy(source.document), world, now=_now())
    if json_:
        _json(
            [
                {"subject": str(row.subject), "place": str(row.place), "action": row.action,
                 "decision": row.decision.value, "level": row.level, "rule": row.rule}
                for row in rows
            ]
        )  # fmt: skip
        return
    places = list(world.places)
    drawn = Table("who", *("no instance" if place.attribute is None else str(place) for place in places))
    by_cell: dict[tuple[Any, Any], list[str]] = {}
    for row in rows:
        if row.decision is Decision.PERMIT:
            by_cell.setdefault((row.subject, row.place), []).append(row.action)
        elif row.decision is not Decision.NOT_APPLICABLE:
            by_cell.setdefault((row.subject, row.place), []).append(f"{row.action}: {row.decision.value}")
    for subject in world.subjects:
        cells = ["\n".join(by_cell.get((subject, place), ["-"])) for place in places]
        if subject.pairs or any(cell != "-" for cell in cells):
            drawn.add_row(str(subject), *cells)
    _draw(drawn)
    levels = sorted({row.level for row in rows if row.level is not None})
    if levels:
        _say(f"Minimum authentication level: {', '.join(map(str, levels))}.")


@app.command(name="decide")
def decide_(*, policy: Path, request: Path, as_: AsOption = None, xml: Annotated[bool, Parameter(negative="")] = False,
            explain: Annotated[bool, Parameter(negative="")] = False) -> None:  # fmt: skip
    """Decide a XACML request (JSON or XML) and print the XACML response in the same form.

    Parameters
    ----------
    policy
        A policy file or an app folder.
    request
        The request file; - reads standard input.
    as_
        ORG/APP, for a policy with placeholders.
    xml
        Answer in XML, whatever form the request has.
    explain
        Say on standard error how each decision came about.
    """
    with _plainly():
        source = sources.read(policy, as_)
        compiled = compile_policy(source.document)
        body = sys.stdin.buffer.read() if str(request) == "-" else _bytes(request)
        is_xml = body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
        try:
            asked = (xml_profile.read if is_xml else json_profile.read)(body, now=_now())
        except RequestError as error:
            raise sources.SourceError(f"The request cannot be read: {error}.") from None
        results = decide_all(compiled, asked)
    answer = xml_profile.write(results) if xml or is_xml else json_profile.write(results, style="pascal")
    sys.stdout.write(answer.decode() + "\n")
    if explain:
        for one in asked.requests:
            sys.stderr.write(f"{compiled.explain(one)}\n")


@app.command
def replay(app_id: str, *, policy: Path, platform: str | None = None, token_file: Path | None = None,
           since: datetime | None = None, until: datetime | None = None, limit: int = 5000,
           json_: JsonOption = False) -> None:  # fmt: skip
    """Decide an app's recorded requests again under another policy; exit code 1 when any decision changes.

    Parameters
    ----------
    app_id
        ORG/APP.
    policy
        The policy to try: a file or an app folder.
    platform
        The platform's address, such as https://platform.example.no; without it, HAVN_PLATFORM.
    token_file
        A file with the service owner's token; without it, HAVN_TOKEN.
    since
        Only requests from this time on.
    until
        Only requests before this time.
    limit
        How many distinct requests to replay, commonest first.
    json_
        Write the report as JSON.
    """
    with _plainly():
        org, _, name = app_id.partition("/")
        source = sources.read(policy, app_id)
        body = {
            "policy": _filled(source, org, name),
            "since": _zoned(since),
            "until": _zoned(until),
            "limit": limit,
        }
        address = platform or os.environ.get("HAVN_PLATFORM") or "http://platform.havn.localhost:8000"
        report = asyncio.run(_dry_run(address, org, name, body, _token(token_file)))
    changed = report["changed"]
    if json_:
        _json(report)
    else:
        _say(f"{report['distinct']} distinct requests, {report['decisions']} decisions.")
        for way, count in report["counts"].items():
            _say(f"  {way}: {count}")
        for entry in changed:
            about = ", ".join(f"{pair['id']}={pair['value']}" for pair in entry["attributes"])
            _say(f"{entry['was']} -> {entry['becomes']} ({entry['times']} times): {entry['action']} with {about}")
    if changed:
        sys.exit(1)


async def _dry_run(address: str, org: str, name: str, body: dict[str, Any], token: str) -> dict[str, Any]:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise sources.SourceError(f"{address} is not an address: give one such as https://platform.example.no.")
    base, host = address, None
    if parts.hostname.endswith(".localhost"):
        # Names under .localhost are this machine, which not every resolver knows.
        host = parts.netloc
        base = f"{parts.scheme}://127.0.0.1:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    http = HttpClient(base, name="Authorization", host=host, timeout=120)
    try:
        response = await http.request(
            "POST",
            f"/authorization/api/v1/policies/{org}/{name}/dry-run",
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json", **Credentials(token).headers()},
        )
    finally:
        await http.close()
    document = msgspec.json.decode(response.content, type=dict[str, Any])
    if response.status_code != 200:
        raise sources.SourceError(f"The platform refused: {document.get('detail') or response.status_code}")
    return document


def _filled(source: sources.Source, org: str, name: str) -> str:
    text = source.path.read_text(encoding="utf-8-sig")
    for written, value in (("ORG", org), ("APP", name)):
        text = text.replace(f"[{written}]", value).replace(f"[{written.lower()}]", value)
    return text


def _token(file: Path | None) -> str:
    token = file.read_text().strip() if file is not None else os.environ.get("HAVN_TOKEN", "")
    if not token:
        raise sources.SourceError("A token of the service owner is needed: give --token-file, or set HAVN_TOKEN.")
    return token


@contextmanager
def _plainly() -> Iterator[None]:
    """Failures as one sentence on standard error and exit code 2."""
    try:
        yield
    except (sources.SourceError, Problem) as error:
        sys.stderr.write(f"{error}\n")
    except PolicyError as error:
        sys.stderr.write(f"{error}.\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{str(error).rstrip('.')}.\n")
    else:
        return
    sys.exit(2)


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _zoned(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _draw(drawn: Table) -> None:
    console = Console()
    # A table in a pipe or a file is not cut to the width of a terminal that is not there.
    Console(width=None if console.is_terminal else 200).print(drawn)
