"""`havn cluster`: the clusters that a control plane deploys to, and local ones to try and test with.

Local clusters are made on this machine; they need root and a checkout.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

import havn
from havn.cli.access import asked
from havn.cli.environment import read_values
from havn.cli.following import away
from havn.cli.output import (
    AnswerOption,
    Failure,
    JsonOption,
    YesOption,
    confirm,
    say,
    write,
    write_json,
    write_outcome,
    write_table,
)
from havn.cli.platform import EnvOption, StateOption, estate

if TYPE_CHECKING:
    from havn.contracts.estate import ClusterInfo, Finding
    from havn.local.kubernetes import Toolchain

app = App(name="cluster", help="Add, examine and remove Kubernetes clusters; make them on this machine.")

Flag = Annotated[bool, Parameter(negative="")]
_SET_UP_WITHIN = 300.0

_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_PLACE = Path("/var/lib/havn/clusters")


@app.command
def create(
    name: str,
    *,
    local: Annotated[bool, Parameter(negative="")] = False,
    folder: Path | None = None,
    json_: JsonOption = False,
) -> None:
    """Make a cluster with one node, DNS, metrics, Traefik and a registry for its images. It runs until it is removed.

    Parameters
    ----------
    name
        Up to twelve lower-case letters and digits, a letter first.
    local
        Say so: a cluster elsewhere is not Havn's to make.
    folder
        Where its state and logs are kept (default: below /var/lib/havn/clusters).
    json_
        Write where it is as JSON.
    """
    from havn.local.kubernetes import ClusterError, LocalKubernetes, addons
    from havn.local.kubernetes.cluster import check_machine, known

    if not local:
        raise Failure(f"Only clusters on this machine are made here: say havn cluster create --local {name}.")
    if not _NAME.fullmatch(name):
        raise Failure(f"{name[:40]!r} cannot be a cluster's name: use up to twelve lower-case letters and digits.")
    place = folder or _PLACE / name
    if place.exists() and any(place.iterdir()):
        raise Failure(f"{place} is not empty: choose another with --folder.")
    # All that can be known before the programs are built, which may take minutes.
    try:
        check_machine()
    except ClusterError as error:
        raise Failure(str(error)) from error
    if name in (each.name for each in known()):
        raise Failure(f"There is a cluster named {name} already: remove it, or choose another name.")
    tools = _toolchain()
    cluster = None
    try:
        cluster = LocalKubernetes.create(name, place, tools, keep=True)
        say(f"Kubernetes answers at https://{cluster.address}:6443.")
        addons.load_images(cluster)
        addons.install_dns(cluster, names_of_machine=True)
        addons.install_metrics(cluster)
        addons.install_traefik(cluster)
        registry = addons.install_registry(cluster)
        programs = addons.install_programs(cluster)
        for namespace, deployment in (("kube-system", "coredns"), ("traefik", "traefik")):
            addons.wait_for(cluster, namespace, deployment)
            say(f"{deployment} is ready.")
        addons.wait_for(cluster, "kube-system", "metrics-server")
        say("metrics-server is ready.")
    except BaseException as error:
        if cluster is not None:
            cluster.destroy()
        if isinstance(error, ClusterError):
            raise Failure(str(error)) from error
        raise
    if json_:
        write_json(
            {
                "name": name,
                "kubeconfig": str(cluster.kubeconfig),
                "address": cluster.address,
                "registry": registry,
                "programs": str(programs),
            }
        )
        return
    say(f"Its registry is {registry}. This points kubectl and helm at it:")
    write(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))} PATH={shlex.quote(str(programs))}:$PATH")


@app.command
def add(
    org: str,
    /,
    *,
    env: EnvOption,
    kubeconfig: Path | None = None,
    context: str | None = None,
    server: str | None = None,
    authority: Path | None = None,
    token_file: Path | None = None,
    namespace: str | None = None,
    ingress: str = "",
    values: Path | None = None,
    base_values: Path | None = None,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Add an org's cluster in an environment, or give it new credentials: tried, kept encrypted, and set up.

    Parameters
    ----------
    org
        The org's code.
    kubeconfig
        File with address and credentials. Its files are read in; programs that it names are not run.
    context
        Which of its contexts (default: the current one).
    server
        Instead of a kubeconfig: address of the API server, https.
    authority
        With --server: PEM file with the authority of its certificate.
    token_file
        File with a service account's token; with --kubeconfig, that is used in place of the credentials there.
    namespace
        Where apps go (default: the context's, else default).
    ingress
        Address of its ingress, as DNS is to have it: IP address or host name.
    values
        YAML file with values of charts/app for this cluster.
    base_values
        YAML file with values of charts/cluster for this cluster.
    """
    from havn.clusters.kubernetes.credentials import Credentials, read_kubeconfig
    from havn.clusters.port import ClusterError
    from havn.contracts.estate import ClusterRequest

    if (kubeconfig is None) == (server is None):
        raise Failure("Say --kubeconfig FILE, or --server ADDRESS with --token-file FILE.")
    token = _text(token_file).strip() if token_file is not None else None
    try:
        if kubeconfig is not None:
            credentials, found_namespace = read_kubeconfig(kubeconfig, context, token=token)
        else:
            ca = _text(authority) if authority is not None else None
            credentials = Credentials(server=server or "", authority=ca, token=token or None)
            credentials.check()
            found_namespace = "default"
    except ClusterError as error:
        raise Failure(str(error)) from None
    request = ClusterRequest(
        org=org,
        environment=env,
        server=credentials.server,
        authority=credentials.authority,
        server_name=credentials.server_name,
        token=credentials.token,
        certificate=credentials.certificate,
        key=credentials.key,
        namespace=namespace or found_namespace,
        ingress=ingress,
        app_values=read_values(values),
        base_values=read_values(base_values),
    )
    outcome = asyncio.run(_added(request, state))
    if json_:
        write_json(outcome)
    if outcome.status != "ready":
        raise Failure(
            f"The cluster could not be set up: {outcome.reason} Put that right, and run the same command again."
        )
    if json_:
        return
    write(f"The cluster of {org} in {env} is ready for apps.")
    if outcome.dns:
        say("These DNS records are wanted:")
        for record in outcome.dns:
            write(f"{record.name} {record.type} {record.value}")
    else:
        say("Which DNS records are wanted is told when its address is: add --ingress ADDRESS.")


@app.command
def remove(
    what: str,
    /,
    *,
    env: Annotated[str | None, Parameter(name=["--env", "-e"])] = None,
    force: Flag = False,
    yes: YesOption = False,
    state: StateOption = None,
    json_: AnswerOption = False,
) -> None:
    """Take Havn's parts out of an org's cluster and forget it; without --env, take a local cluster away.

    Parameters
    ----------
    what
        The org's code; without --env, the name that a local cluster was made with.
    env
        The environment.
    force
        Also while apps are deployed there, which are left as they are, or when it cannot be reached.
    """
    if env is None:
        _remove_local(what)
        if json_:
            write_json({"name": what, "removed": True})
        return
    environment = env
    found = asked(lambda client: client.cluster(environment, what), state)
    say(f"The cluster of {what} in {environment}, {found.server}, where {found.apps} apps should run.")
    if not yes and not confirm("Forget it?"):
        say("Nothing was changed.")
        return
    asked(lambda client: client.remove_cluster(environment, what, force=force), state)
    told = f"The cluster of {what} in {environment} is forgotten."
    write_outcome(told, json_, org=what, environment=environment, removed=True)


@app.command
def doctor(org: str, /, *, env: EnvOption, state: StateOption = None, json_: AnswerOption = False) -> None:
    """Find out whether a cluster has what is relied on; exit code 1 when something has to be done.

    Parameters
    ----------
    org
        The org's code.
    """
    findings = asyncio.run(_examined(org, env, state, json_))
    if json_:
        write_json(findings)
    if any(each.result == "fail" for each in findings):
        raise Failure(f"The cluster of {org} in {env} is not as it should be: see what is marked fail.")


@app.command(name="rotate-ca")
def rotate_ca(
    org: str, /, *, env: EnvOption, yes: YesOption = False, state: StateOption = None, json_: JsonOption = False
) -> None:
    """Change the authority that signs certificates inside a cluster; about twenty minutes, and no request fails.

    Parameters
    ----------
    org
        The service owner.
    json_
        Write the authorities as JSON.
    """
    if not yes and not confirm(f"Change the certificate authority of {org}'s cluster in {env}?"):
        say("Nothing was changed.")
        return
    found = asked(lambda client: client.rotate_authority(env, org), state)
    if json_:
        write_json(found)
        return
    rows = [[str(each.number), each.state, f"{each.since:%Y-%m-%d %H:%M}", f"{each.until:%Y-%m-%d}"] for each in found]
    write_table(["Number", "State", "Since", "Good until"], rows)


@app.command(name="list")
def list_(*, state: StateOption = None, json_: JsonOption = False) -> None:
    """List the clusters of the control plane, and the local ones of this machine.

    Parameters
    ----------
    json_
        Write them as JSON: `clusters` and `local`, each null when it cannot be asked.
    """
    clusters: list[ClusterInfo] | None
    try:
        clusters, why = asked(lambda client: client.clusters(), state), ""
    except Failure as failure:
        clusters, why = None, str(failure)
    local = _local()
    if json_:
        write_json({"clusters": clusters, "local": local})
        return
    if clusters is None:
        say(why)
    elif clusters:
        rows = [
            (each.org, each.environment, each.status, str(each.apps), each.ingress, each.server) for each in clusters
        ]
        write_table(("ORG", "ENVIRONMENT", "STATUS", "APPS", "INGRESS", "API SERVER"), rows)
    else:
        say("The control plane has no clusters: add one with `havn cluster add`.")
    if local:
        say("On this machine:")
        write_table(
            ("NAME", "ADDRESS", "KUBECONFIG"), [(each["name"], each["address"], each["kubeconfig"]) for each in local]
        )


async def _added(request: Any, state: Path | None) -> ClusterInfo:
    async with estate(state) as client:
        found = await client.add_cluster(request)
        say(f"{request.server} lets us in, and its credentials are kept encrypted. It is being set up.")
        found = await client.set_up(found, within=_SET_UP_WITHIN, away=away)
    if found.status == "bootstrapping":
        raise Failure("It is still being set up: see `havn cluster list`, and the control plane's log.")
    return found


async def _examined(org: str, env: str, state: Path | None, json_: bool) -> list[Finding]:
    findings: list[Finding] = []
    async with estate(state) as client:
        async for each in client.doctor(env, org):
            findings.append(each)
            if not json_:
                write(f"{each.result:<8} {each.check:<17} {each.message}")
                if each.next and each.result != "ok":
                    write(f"{'':<26} {each.next}")
    return findings


def _local() -> list[dict[str, str]] | None:
    from havn.local.kubernetes.cluster import known

    try:
        return [{"name": each.name, "address": each.address, "kubeconfig": str(each.kubeconfig)} for each in known()]
    except PermissionError:
        return None


def _remove_local(name: str) -> None:
    from havn.local.kubernetes import ClusterError, LocalKubernetes

    local = _local()
    if local is None:
        raise Failure("Local clusters are root's: run this with sudo.")
    if name not in (each["name"] for each in local):
        raise Failure(
            f"There is no local cluster named {name[:40]}: see `havn cluster list`, or say --env for one of an org."
        )
    try:
        LocalKubernetes.find(name, _toolchain()).destroy()
    except ClusterError as error:
        raise Failure(str(error)) from error
    say(f"{name} is gone.")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{path} cannot be read.") from None


def _toolchain() -> Toolchain:
    from havn.local.kubernetes import Toolchain, ToolchainError

    source = Path(havn.__file__).parents[2] / "toolchain"
    if not (source / "go.mod").exists():
        raise Failure("Local clusters are made from a checkout of Havn: this is an installed package.")
    try:
        return Toolchain.ensure(source, say=say)
    except ToolchainError as error:
        raise Failure(str(error)) from error
