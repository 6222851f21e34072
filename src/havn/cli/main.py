"""The command `havn`. Each verb lives in a module of its own, imported when it is used, so that help is quick."""

from __future__ import annotations

import sys

from cyclopts import App

from havn import __version__

# verb: where its function lives, and what it does in a line.
_COMMANDS = {
    "up": ("havn.cli.up:up", "Start the platform on this machine; Ctrl-C stops it."),
    "new": ("havn.cli.new:new", "Make an app folder that runs."),
    "dev": ("havn.cli.dev:dev", "Run an app from its folder, reloading it on every save."),
    "check": ("havn.cli.check:check", "Read a whole app folder and report every problem."),
    "build": ("havn.cli.build:build", "Make a signed release of an app."),
    "deploy": ("havn.cli.deploy:deploy", "Put a release, or an app folder, into an environment."),
    "diff": ("havn.cli.diff:diff", "Show what a deploy would change, and whom it would strand."),
    "promote": ("havn.cli.promote:promote", "Put what runs in one environment into another."),
    "approvals": ("havn.cli.promote:approvals", "List the deployments that wait for an approval."),
    "approve": ("havn.cli.promote:approve", "Approve a deployment that somebody else asked for."),
    "reject": ("havn.cli.promote:reject", "Turn down a deployment that waits for an approval."),
    "ps": ("havn.cli.show:ps", "List apps: what was asked for, and what runs."),
    "status": ("havn.cli.show:status", "Show one app in full, or how the platform is."),
    "history": ("havn.cli.show:history", "List the changes to an app."),
    "logs": ("havn.cli.logs:logs", "Show an app's log."),
    "exec": ("havn.cli.exec:exec_", "Run a command in an app."),
    "scale": ("havn.cli.deploy:scale", "Change the number of an app's replicas, or its bounds."),
    "rollback": ("havn.cli.deploy:rollback", "Put an earlier release back."),
    "heal": ("havn.cli.deploy:heal", "Put an app back as it was deployed."),
    "undeploy": ("havn.cli.deploy:undeploy", "Stop an app and take it away; its data stay."),
    "audit": ("havn.cli.show:audit", "Show who did what."),
    "login": ("havn.cli.login:login", "Sign in to a control plane."),
    "logout": ("havn.cli.login:logout", "Sign out of it."),
    "whoami": ("havn.cli.login:whoami", "Show who you are to the control plane, and what you may do."),
    "access": ("havn.cli.access:app", "Give roles to people and tokens, and take them back."),
    "ci-token": ("havn.cli.ci_token:app", "Make tokens for machines, such as a CI."),
    "org": ("havn.cli.org:app", "Add orgs, and the keys their releases are signed with."),
    "environment": ("havn.cli.environment:app", "Add and change environments."),
    "token": ("havn.cli.token:token", "Print the control plane's token."),
    "doctor": ("havn.cli.doctor:doctor", "Find out why the platform does not run here."),
    "policy": ("havn.cli.policy:app", "Test, lint, compare, replay and show app policies."),
    "api": ("havn.cli.api:app", "Offer and use Apis: plans, requests for access, keys, use, phasing out."),
    "egress": ("havn.cli.egress:app", "What apps may reach: test a call, see the log, get the missing rules."),
    "sla": ("havn.cli.sla:app", "Agree on service levels, declare maintenance, read the monthly report."),
    "maintenance": ("havn.cli.shut:maintenance", "Shut an app for a while, with a page that says so."),
    "block": ("havn.cli.shut:block", "Keep an abusive client out."),
    "secret": ("havn.cli.secret:app", "Keep apps' secrets: set, list, rotate, remove, change the key."),
    "models": ("havn.cli.models:app", "Generate typed model classes from an app's JSON Schemas."),
    "image": ("havn.cli.image:app", "Make base images without a container engine."),
    "platform": ("havn.cli.platform_secrets:app", "Make what the platform of an environment is installed with."),
    "cluster": ("havn.cli.cluster:app", "Add, examine and remove Kubernetes clusters; make them on this machine."),
    "testdata": ("havn.cli.testdata:app", "Make and show synthetic people and companies."),
}

app = App(
    name="havn",
    version=__version__,
    help="Run digital service apps for public bodies: on this machine, and in their clusters. "
    "With --console URL (or HAVN_CONSOLE) every command speaks to the control plane there.",
)
for _name, (_where, _help) in _COMMANDS.items():
    app.command(_where, name=_name, help=_help)


def main() -> None:
    """Entry point of the command."""
    from havn.cli.console import choose
    from havn.cli.output import plainly

    with plainly():
        sys.exit(app(choose(sys.argv[1:])))
