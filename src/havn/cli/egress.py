"""`havn egress`: ask what may go out without sending, see what went, and get the lines that are missing."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from havn.cli.output import AnswerOption, Failure, JsonOption, say, write, write_json, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id, state_folder

if TYPE_CHECKING:
    from havn.engines.egress_policy import EgressPolicy
    from havn.gateway.egress.decisions import Decision

app = App(name="egress", help="What apps may reach: test a call, see the log, get the missing rules.")

Flag = Annotated[bool, Parameter(negative="")]


@app.command(name="test")
def explain(
    url: str,
    /,
    *,
    app_: Annotated[str | None, Parameter(name="--app")] = None,
    path: Path | None = None,
    method: str = "GET",
    env: EnvOption = LOCAL,
    type_: Annotated[Literal["test", "production"], Parameter(name="--type")] = "test",
    resolve: Flag = False,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Explain whether a call would be let out, without sending anything; exit code 1 when it would not.

    Parameters
    ----------
    url
        https://host/… (a tunnel), http://host/… (in clear), or http://egress/UPSTREAM/….
    app_
        ORG/APP, to ask the rules that are in force here.
    path
        App folder, to ask the rules in it instead.
    method
        The HTTP method.
    type_
        The environment's kind, which decides the mode when the rules name none.
    resolve
        Also look the host up and check every address.
    json_
        Write the explanation as JSON.
    """
    from havn.engines.egress_policy import Policy

    policy = Policy(_policy(app_, path, state), environment=env, production=type_ == "production")
    told = _explain(policy, url, method.upper())
    host = str(told["host"])
    if resolve and told["allowed"] and host:
        told["addresses"], fault = asyncio.run(_addresses(host))
        if fault:
            told |= {"allowed": False, "reason": fault}
    if json_:
        write_json(told)
    else:
        write(f"{'Allowed' if told['allowed'] else 'Denied'}: {told['reason']} (mode {told['mode']}).")
        if told["add"]:
            write(f"Add to deployment/egress.yaml, under allow:\n  {told['add']}")
    if not told["allowed"]:
        sys.exit(1)


@app.command
def suggest(what: str, /, *, state: StateOption = None, json_: JsonOption = False) -> None:
    """Print the rules that an app's denied, or only observed, calls were missing.

    Parameters
    ----------
    what
        ORG/APP.
    json_
        Write the rules as JSON.
    """
    from havn.gateway.egress.history import missing_lines

    id_ = app_id(what)
    found = missing_lines(_decisions(state), id_.org, id_.app)
    if json_:
        write_json([{"add": line, "times": times} for line, times in found])
        return
    if not found:
        say(f"Nothing that {what} has called is missing from its rules.")
        return
    write("--- deployment/egress.yaml\n+++ deployment/egress.yaml\n@@ allow @@")
    for line, times in found:
        write(f"+  {line}  # {times} calls")


@app.command(name="log")
def log_(
    what: str | None = None,
    /,
    *,
    denied: Flag = False,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 50,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show the newest decisions of the proxy.

    Parameters
    ----------
    what
        ORG/APP (default: every app).
    denied
        Only what was not let through, or would not be in the mode enforce.
    lines
        How many.
    """
    id_ = app_id(what) if what is not None else None
    found = [
        each
        for each in _decisions(state)
        if (id_ is None or (each.org, each.app) == (id_.org, id_.app))
        and (not denied or each.result != "allow" or each.would_deny)
    ][-max(lines, 1) :]
    if json_:
        write_json(found)
        return
    rows = [
        [
            each.timestamp[11:23], f"{each.org}/{each.app}" if each.org else "?", each.method,
            f"egress/{each.upstream}" if each.upstream else f"{each.host}:{each.port}", each.result,
            each.reason, str(each.status), f"{each.ms:.0f}", each.add,
        ]
        for each in found
    ]  # fmt: skip
    write_table(["Time", "App", "Method", "To", "Result", "Reason", "Status", "ms", "Add"], rows)


@app.command
def secret(
    what: str, name: str, /, *, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Store a secret that the proxy adds to an app's calls; its value is read from standard input.

    It is kept as the app's secret `egress.NAME`: `havn secret` lists, rotates and removes it.

    Parameters
    ----------
    what
        ORG/APP.
    name
        The secret's name, as `secret:` in deployment/egress.yaml has it.
    """
    from havn.cli.secret import set_
    from havn.deploy.secrets.rules import OUTBOUND

    set_(what, f"{OUTBOUND}{name}", env=env, state=state, json_=json_)


@app.command
def schema() -> None:
    """Print the JSON Schema of deployment/egress.yaml."""
    from havn.engines.egress_policy import schema as make

    write_json(make())


def _policy(what: str | None, path: Path | None, state: Path | None) -> EgressPolicy:
    import msgspec

    from havn.engines.egress_policy import EgressPolicy
    from havn.gateway.egress.policies import policy_file
    from havn.local.egress import policies
    from havn.local.state import State

    if path is not None:
        from havn.appfolder.egress import read
        from havn.appfolder.files import Files

        files = Files(path)
        policy = read(files)
        if policy is None and files.findings:
            raise Failure(str(files.findings[0]))
        return policy or EgressPolicy()
    if what is None:
        raise Failure("Say whose rules to ask: --app ORG/APP, or --path FOLDER.")
    id_ = app_id(what)
    try:
        content = policy_file(policies(State(state_folder(state))), id_.org, id_.app).read_bytes()
    except FileNotFoundError:
        return EgressPolicy()
    try:
        return msgspec.json.decode(content, type=EgressPolicy)
    except msgspec.MsgspecError as error:
        raise Failure(f"The published rules of {what} cannot be read ({error}): deploy the app again.") from None


def _explain(policy: object, url: str, method: str) -> dict[str, object]:
    from havn.engines.egress_policy import Policy, Request, path_fault

    assert isinstance(policy, Policy)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Failure(f"{url} is not an address.") from None
    if parts.scheme not in ("http", "https") or parts.username is not None:
        raise Failure(f"{url} is not an address: give one such as https://data.example.no/list.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    today = datetime.now(UTC).date()
    told: dict[str, object] = {"url": url, "mode": policy.mode_on(today), "host": "", "add": ""}
    if parts.scheme == "http" and (fault := path_fault(target)) is not None:
        return {**told, "allowed": False, "reason": f"the path cannot be used, {fault}"}
    if parts.scheme == "http" and parts.hostname == "egress":
        name, _, rest = target.removeprefix("/").partition("/")
        found = policy.targets.get(name)
        if found is None:
            return {**told, "allowed": False, "reason": f"there is no upstream {name}"}
        allowed = found.permits(method, "/" + rest)
        reason = f"upstream {name}" if allowed else f"the upstream {name} is not for this method and path"
        return {**told, "host": found.host, "allowed": allowed, "reason": reason}
    kind: Literal["connect", "http"] = "connect" if parts.scheme == "https" else "http"
    wanted = Request(kind, parts.hostname or "", port or (443 if kind == "connect" else 80), method, target)
    verdict = policy.decide(wanted, today)
    reasons = {
        "rule": f"rule {verdict.rule}",
        "observed": "no rule, but the mode only observes",
        "open": "no rule, but the mode is open",
        "no_rule": "no rule matches",
        "bad_host": verdict.hint,
    }
    add = verdict.hint if verdict.would_deny else ""
    return {**told, "host": wanted.host, "allowed": verdict.allowed, "reason": reasons[verdict.reason], "add": add}


async def _addresses(host: str) -> tuple[list[str], str]:
    from havn.gateway.egress.dialling import AddressRefused, Dialler, Unreachable
    from havn.gateway.egress.resolver import DnsResolver, system_servers

    try:
        return list(await Dialler(DnsResolver(system_servers())).addresses(host)), ""
    except AddressRefused as error:
        return [error.address], f"{host} leads to {error.address}, which is {error.reason}"
    except Unreachable as error:
        return [], str(error).rstrip(".")


def _decisions(state: Path | None) -> list[Decision]:
    from havn.gateway.egress.history import decisions

    log = state_folder(state) / "logs" / "egress.log"
    return list(decisions([log.with_name(f"{log.name}.{number}") for number in (3, 2, 1)] + [log]))
