"""`havn api`, for those who offer Apis: publish them, answer those who ask, see who uses what, phase versions out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from havn.cli import api_access
from havn.cli.api_options import EVERY, Org, Reason, ask, moment, org_of, shown
from havn.cli.output import AnswerOption, Failure, say, write, write_json, write_outcome, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption, app_id

if TYPE_CHECKING:
    from havn.clients.credentials import Credentials
    from havn.clients.management import ManagementClient
    from havn.contracts.management import Api, Declarations, Plan, Subscription, SubscriptionAct

app = App(name="api", help="Offer and use Apis: plans, requests for access, keys, use, phasing out.")
api_access.register(app)


@app.command(name="list")
def list_(
    org: Annotated[str, Parameter(help="Only this owner's.")] = EVERY,
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """List Apis with their state, drafts too."""
    found = ask(lambda client, me: client.apis(me, None if org == EVERY else org), org=org, env=env, state=state)
    if json_:
        write_json(found)
        return
    write_table(
        ("Api", "State", "Access", "Paths", "Sunset", "Title"),
        [(each.id, each.state, each.access, " ".join(each.paths), shown(each.sunset), each.title.nb) for each in found],
    )


@app.command
def publish(
    whose: Annotated[str, Parameter(help="ORG/APP.")],
    file: Annotated[Path, Parameter(help="A file as deployment/api.yaml.")],
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Make or change the Apis in a file, without a deployment of the app; `platform/API` for the platform's own."""
    from havn.contracts.management import api_id

    org, _, name = whose.partition("/")
    if org != "platform":
        id_ = app_id(whose)
        org, name = id_.org, id_.app
    wanted = _read(file)

    async def write_all(client: ManagementClient, me: Credentials) -> list[Api]:
        return [await client.write(api_id(org, name, each.name, each.version), each, me) for each in wanted.apis]

    made = ask(write_all, org=_acting(org), env=env, state=state)
    if json_:
        write_json(made)
        return
    for api in made:
        write(f"{api.id} is {api.state}.")


@app.command
def plan(
    api: Annotated[str, Parameter(help="Id of the Api.")],
    /,
    *,
    close: Annotated[str | None, Parameter(help="Take the plan of this name away.")] = None,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show an Api's plans with their limits in plain words; or take one away from those who do not have it."""
    org = _acting(org_of(api))
    if close is not None:
        ask(lambda client, me: client.close_plan(api, close, me), org=org, env=env, state=state)
        say(f"The plan {close} can no longer be asked for.")
        return
    found = ask(lambda client, me: client.plans(api, me), org=org, env=env, state=state)
    if json_:
        write_json(found)
        return
    write_table(
        ("Plan", "State", "Approval", "Mode", "Limits"),
        [(each.name, each.state, each.approval, each.mode, "; ".join(_limits(each)) or "none") for each in found],
    )


@app.command
def remove(
    api: Annotated[str, Parameter(help="Id of the Api.")],
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Take an Api away: removed when nobody ever asked for it, else retired."""
    gone = ask(lambda client, me: client.remove(api, me), org=_acting(org_of(api)), env=env, state=state)
    told = f"{api} is {'removed' if gone else 'retired: it answers 410 from now'}."
    write_outcome(told, json_, id=api, removed=gone)


@app.command
def deprecate(
    api: Annotated[str, Parameter(help="Id of the Api.")],
    /,
    *,
    since: Annotated[str | None, Parameter(help="From when (default: now).")] = None,
    sunset: Annotated[str | None, Parameter(help="When it stops answering.")] = None,
    successor: Annotated[str | None, Parameter(help="The Api that takes over: its id or version.")] = None,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Say that a version should no longer be taken into use, and list who still uses it."""
    from havn.contracts.management import Deprecation

    wanted = Deprecation(deprecated=moment(since, "--since"), sunset=moment(sunset, "--sunset"), successor=successor)
    org = _acting(org_of(api))
    done = ask(lambda client, me: client.deprecate(api, wanted, me), org=org, env=env, state=state)
    if json_:
        write_json(done)
        return
    write(f"{api} is deprecated since {shown(done.deprecated)}; it ends: {shown(done.sunset)}.")
    users(api, env=env, state=state)


@app.command
def users(
    api: Annotated[str, Parameter(help="Id of the Api.")],
    /,
    *,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show who uses an Api, the last first: the list to call before an old version ends."""
    found = ask(lambda client, me: client.consumers(api, me), org=_acting(org_of(api)), env=env, state=state)
    if json_:
        write_json(found)
        return
    if not found:
        say("Nobody has had access to it.")
        return
    write_table(
        ("Application", "Organisation", "Plan", "State", "Last used", "Requests", "Contact", "Subscription"),
        [
            (
                each.application_name, f"{each.owner_name} ({each.owner})", each.plan.partition(":")[2], each.state,
                shown(each.last_used), str(each.requests), each.contact, each.subscription,
            )
            for each in found
        ],
    )  # fmt: skip


@app.command
def requests(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Answered ones too.")] = False,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """List who asks for access and waits for an answer."""
    wanted = None if all_ else "pending"
    found = ask(
        lambda client, me: client.requests(me, None if org == EVERY else org, wanted), org=org, env=env, state=state
    )
    if json_:
        write_json(found)
        return
    if not found:
        say("Nobody waits for an answer.")
        return
    _table(found)


@app.command
def approve(
    subscription: str,
    /,
    *,
    expires: Annotated[str | None, Parameter(help="When access ends (default: as the plan says).")] = None,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Give access to who has asked for it."""
    _change(subscription, "approve", "", org, env, state, json_, expires=expires)


@app.command
def reject(
    subscription: str,
    /,
    *,
    reason: Reason,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Turn a request down."""
    _change(subscription, "reject", reason, org, env, state, json_)


@app.command
def suspend(
    subscription: str,
    /,
    *,
    reason: Reason,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Stop somebody's access for a while."""
    _change(subscription, "suspend", reason, org, env, state, json_)


@app.command
def resume(
    subscription: str,
    /,
    *,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Let somebody who was stopped in again."""
    _change(subscription, "resume", "", org, env, state, json_)


@app.command
def revoke(
    subscription: str,
    /,
    *,
    reason: Reason,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """End somebody's access for good."""
    _change(subscription, "revoke", reason, org, env, state, json_)


@app.command
def history(
    *, org: Org = EVERY, env: EnvOption = LOCAL, state: StateOption = None, json_: AnswerOption = False
) -> None:
    """Show the newest changes to Apis, plans, subscriptions and keys: who, when, from where."""
    found = ask(lambda client, me: client.history(me, None if org == EVERY else org), org=org, env=env, state=state)
    if json_:
        write_json(found)
        return
    write_table(
        ("When", "Who", "From", "Did", "To"),
        [(shown(each.at), each.who, each.address, each.action, each.object) for each in found],
    )


@app.command
def schema(*, check: Annotated[Path | None, Parameter(help="Check this file instead.")] = None) -> None:
    """Print the JSON Schema of deployment/api.yaml, or check a file."""
    if check is not None:
        say(f"{check} declares {len(_read(check).apis)} Apis and can be used.")
        return
    from havn.appfolder.apis import schema as make

    write_json(make())


def _change(
    subscription: str, act: SubscriptionAct, reason: str, org: str, env: str, state: Path | None, json_: bool,
    *, expires: str | None = None,
) -> None:  # fmt: skip
    from havn.contracts.management import SubscriptionChange

    wanted = SubscriptionChange(reason=reason, expires=moment(expires, "--expires"))
    done = ask(lambda client, me: client.change(subscription, act, wanted, me), org=org, env=env, state=state)
    if json_:
        write_json(done)
        return
    until = f" until {shown(done.expires)}" if done.expires is not None else ""
    write(f"{done.application_name} of {done.owner_name} is {done.state} on {done.plan}{until}.")


def _table(found: list[Subscription]) -> None:
    write_table(
        ("Subscription", "Application", "Organisation", "Plan", "State", "Asked", "Purpose"),
        [
            (
                each.id, each.application_name, f"{each.owner_name} ({each.owner})", each.plan, each.state,
                shown(each.created), each.purpose[:60],
            )
            for each in found
        ],
    )  # fmt: skip


def _limits(plan: Plan) -> list[str]:
    found = [f"{each.requests} in {each.seconds} s" for each in plan.rates]
    found += [f"{each.requests} a {each.per}" for each in plan.quotas]
    if plan.concurrency is not None:
        found.append(f"{plan.concurrency} at once")
    return found


def _read(file: Path) -> Declarations:
    from havn.appfolder.apis import read_file
    from havn.appfolder.findings import AppFolderError

    try:
        return read_file(file)
    except AppFolderError as error:
        first = error.findings[0]
        raise Failure(f"{file}:{first.line}: {first.message} {first.hint}".rstrip()) from None
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None


def _acting(org: str) -> str:
    """The platform's own Apis are its operator's, who acts for all."""
    return EVERY if org == "platform" else org
