"""`havn policy`: try, examine and compare app policies, offline with the engine that decides in production."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
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
from havn.cli import policy_tables as tables
from havn.cli.output import AnswerOption, JsonOption, counted
from havn.cli.platform import AsOption
from havn.clients.credentials import Credentials
from havn.engines import xacml
from havn.engines.app_policy import cases
from havn.engines.xacml import PolicyError, RequestError, compile_policy, json_profile, xml_profile
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

app = App(name="policy", help="Test, lint, compare, replay and show app policies.")

PolicyAsOption = Annotated[AsOption, Parameter(help="ORG/APP, for a policy with placeholders.")]
Flag = Annotated[bool, Parameter(negative="")]


@app.command(name="test")
def run_cases(
    path: Path = Path(),
    *,
    cases_: Annotated[Path | None, Parameter(name="--cases")] = None,
    as_: PolicyAsOption = None,
    json_: JsonOption = False,
) -> None:
    """Run the cases written beside a policy; exit code 1 when any fails.

    Parameters
    ----------
    path
        An app folder or a policy file.
    cases_
        The file of cases; without it, policy.test.yaml beside the policy.
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
def lint_(
    path: Path = Path(), *, as_: PolicyAsOption = None, strict: Flag = False, json_: AnswerOption = False
) -> None:
    """Find what is wrong or doubtful: dead and shadowed rules, unknown roles and tasks, actions nothing asks about.

    Parameters
    ----------
    path
        An app folder or a policy file.
    strict
        Exit with 1 for warnings too, not only for errors.
    """
    with _plainly():
        source = sources.read(path, as_)
        compile_policy(source.document)
        found = xacml.lint(source.document, source.surroundings)
    if json_:
        _json({"policy": str(source.path), "findings": found})
    else:
        for finding in found:
            place = f"{source.path}:{finding.line}" if finding.line else str(source.path)
            rule = f" (rule {finding.rule_id})" if finding.rule_id else ""
            _say(f"{place}: {finding.severity}: {finding.message}{rule} [{finding.code}]")
        count = Counter(finding.severity for finding in found)
        _say(f"{', '.join(counted(count[each], each) for each in ('error', 'warning', 'note'))}.")
    fatal = {"error", "warning"} if strict else {"error"}
    if any(finding.severity in fatal for finding in found):
        sys.exit(1)


@app.command
def diff(old: Path, new: Path, *, as_: PolicyAsOption = None, json_: JsonOption = False) -> None:
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
        found = xacml.diff(
            compile_policy(before.document), compile_policy(after.document),
            tasks=dict.fromkeys((*before.tasks, *after.tasks)),
            end_events=dict.fromkeys((*before.end_events, *after.end_events)),
        )  # fmt: skip
    if json_:
        _json(found)
        return
    if found.same:
        _say(f"Nothing changes in {found.compared} combinations.")
    else:
        drawn = Table("", "who", "where", "action", "was", "becomes", show_lines=True)
        for sign, changes in (("+", found.gained), ("-", found.lost), (" ", found.other)):
            for row in tables.changes(changes, tasks=before.tasks + after.tasks):
                drawn.add_row(sign, *row)
        _draw(drawn)
        _say(
            f"{len(found.gained)} rights gained, {len(found.lost)} lost, {len(found.other)} otherwise changed"
            f" in {found.compared} combinations."
        )
    _notes(found.notes)


@app.command
def show(path: Path = Path(), *, as_: PolicyAsOption = None, json_: JsonOption = False) -> None:
    """Print a policy as a table: who may do which actions in which task.

    Parameters
    ----------
    path
        An app folder or a policy file.
    json_
        Write every row as JSON.
    """
    with _plainly():
        source = sources.read(path, as_)
        found = xacml.table(compile_policy(source.document), tasks=source.tasks, end_events=source.end_events)
    if json_:
        _json(found)
        return
    places, rows = tables.grid(found.rows, tasks=source.tasks)
    drawn = Table("who", *places, title=found.everywhere or None, show_lines=True)
    for row in rows:
        drawn.add_row(*row)
    _draw(drawn)
    for sentence in tables.levels_needed(source.document):
        _say(sentence)
    _notes(found.notes)


def _notes(notes: list[str]) -> None:
    for note in notes:
        _say(f"Note: {note}.")


@app.command(name="decide")
def decide_(
    *,
    policy: Path,
    request: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    as_: PolicyAsOption = None,
    xml: Flag = False,
    explain: Flag = False,
) -> None:
    """Decide a XACML request (JSON or XML) and print the XACML response in the same form.

    Parameters
    ----------
    policy
        A policy file or an app folder.
    request
        The request file; - reads standard input.
    xml
        Answer in XML, whatever form the request has.
    explain
        Say on standard error how each decision came about.
    """
    with _plainly():
        source = sources.read(policy, as_)
        compiled = compile_policy(source.document)
        body = sys.stdin.buffer.read() if str(request) == "-" else sources.contents(request)
        is_xml = body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
        try:
            asked = (xml_profile.read if is_xml else json_profile.read)(body, now=_now())
        except RequestError as error:
            raise sources.SourceError(f"The request cannot be read: {error}.") from None
        results = xacml.decide(compiled, asked)
    answer = xml_profile.write(results) if xml or is_xml else json_profile.write(results, style="pascal")
    sys.stdout.write(answer.decode() + "\n")
    if explain:
        for one in asked.requests:
            sys.stderr.write("\n".join(compiled.explain(one).sentences) + "\n")


@app.command
def replay(
    app_id: str,
    *,
    policy: Path,
    platform: str | None = None,
    token_file: Path | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 5000,
    json_: AnswerOption = False,
) -> None:
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
            about = tables.told((pair["id"], pair["value"]) for pair in entry["attributes"])
            times = "once" if entry["times"] == 1 else f"{entry['times']} times"
            _say(f"{entry['was']} -> {entry['becomes']} ({times}): {entry['action']} by {about}")
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
