"""`havn api`, for those who use Apis: find one, ask for a plan, get keys once, see use."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from havn.cli.api_options import EVERY, Org, ask, moment, shown
from havn.cli.output import AnswerOption, Failure, say, write, write_json, write_table
from havn.cli.platform import LOCAL, EnvOption, StateOption

Subscription = Annotated[str, Parameter(help="Id of the subscription.")]


def register(app: App) -> None:
    """Put these commands among those of `app`."""
    for command in (catalogue, subscribe, keys, usage):
        app.command(command)


def catalogue(
    words: Annotated[str, Parameter(help="Words that occur in it.")] = "",
    /,
    *,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Search the catalogue, as everybody may."""
    found = ask(lambda client, me: client.catalogue(me, words), org=org, env=env, state=state)
    if json_:
        write_json(found.apis)
        return
    if not found.apis:
        say("Nothing in the catalogue matches.")
        return
    write_table(
        ("Api", "State", "Title", "Owner", "Plans", "Address"),
        [
            (
                each.api.id, each.api.state, each.api.title.nb, each.org_name.nb,
                " ".join(plan.name for plan in each.plans) or "-", each.url,
            )
            for each in found.apis
        ],
    )  # fmt: skip


def subscribe(
    plan: Annotated[str, Parameter(help="Id of the plan: API:NAME.")],
    /,
    *,
    owner: Annotated[str, Parameter(help="Organisation number of who will use it.")],
    application: Annotated[str, Parameter(name=["--application", "-a"], help="Name of its system.")],
    contact: Annotated[str, Parameter(help="How those who run the system are reached.")] = "",
    purpose: Annotated[str, Parameter(help="What it will be used for.")] = "",
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Ask for a plan on behalf of an organisation; the application is made when it is new."""
    from havn.clients.credentials import Credentials
    from havn.clients.management import ManagementClient
    from havn.contracts.management import NewApplication, NewSubscription
    from havn.contracts.management import Subscription as Made

    if len(owner) != 9 or not owner.isascii() or not owner.isdigit():
        raise Failure("--owner is an organisation number: nine digits.")

    async def call(client: ManagementClient, me: Credentials) -> Made:
        known = {each.name: each for each in await client.applications(owner, me)}
        new = NewApplication(name=application, owner=owner, contact=contact)
        own = known.get(application.strip()) or await client.register(new, me)
        return await client.ask(NewSubscription(application=own.id, plan=plan, purpose=purpose), me)

    made = ask(call, org=org, env=env, state=state)
    if json_:
        write_json(made)
        return
    write(f"{made.id} is {made.state}.")
    if made.state == "active":
        say(f"Get its keys with `havn api keys {made.id} --make`.")


def keys(
    subscription: Subscription,
    /,
    *,
    make: Annotated[bool, Parameter(negative="", help="Make a key; it is shown this once.")] = False,
    rotate: Annotated[str | None, Parameter(help="Make another in place of the key with this prefix.")] = None,
    revoke: Annotated[str | None, Parameter(help="End the key with this prefix.")] = None,
    expires: Annotated[str | None, Parameter(help="When the new key ends.")] = None,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """List a subscription's keys; or make, rotate or revoke one."""
    from havn.contracts.management import KeyRequest

    if sum((make, rotate is not None, revoke is not None)) > 1:
        raise Failure("Choose one of --make, --rotate and --revoke.")
    wanted = KeyRequest(expires=moment(expires, "--expires"))
    if revoke is not None:
        ask(lambda client, me: client.revoke_key(subscription, revoke, me), org=org, env=env, state=state)
        say(f"The key {revoke} is revoked.")
        return
    if make or rotate is not None:
        made = ask(
            lambda client, me: (
                client.make_key(subscription, wanted, me)
                if rotate is None
                else client.rotate_key(subscription, rotate, wanted, me)
            ),
            org=org,
            env=env,
            state=state,
        )
        if json_:
            write_json(made)
            return
        write(made.key)
        say("It is shown this once. Send it in the header X-Api-Key.")
        return
    found = ask(lambda client, me: client.keys(subscription, me), org=org, env=env, state=state)
    if json_:
        write_json(found)
        return
    write_table(
        ("Prefix", "State", "Created", "Expires", "Last used"),
        [(each.prefix, each.state, shown(each.created), shown(each.expires), shown(each.last_used)) for each in found],
    )


def usage(
    subscription: Subscription,
    /,
    *,
    days: Annotated[int, Parameter(help="How many days back.")] = 30,
    org: Org = EVERY,
    env: EnvOption = LOCAL,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show where a subscription's quotas stand, and its requests by day, Norwegian time."""
    found = ask(lambda client, me: client.usage(subscription, me, days), org=org, env=env, state=state)
    standing = ask(lambda client, me: client.quotas(subscription, me), org=org, env=env, state=state)
    if json_:
        write_json({"days": found, "quotas": standing})
        return
    for quota in standing:
        say(f"{quota.name}: {quota.used} of {quota.requests} this {quota.per}, until {shown(quota.until)}.")
    if not found:
        say("There were no requests.")
        return
    write_table(
        ("Day", "Let through", "Refused", "Over a limit on trial"),
        [(each.day, str(each.allowed), str(each.rejected), str(each.observed)) for each in found],
    )
