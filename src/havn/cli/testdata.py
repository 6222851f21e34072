"""`havn testdata`: make more synthetic people and companies, and show who there is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from havn.cli.output import AnswerOption, Failure, JsonOption, write, write_json, write_table
from havn.cli.platform import HomeOption, state_folder

app = App(name="testdata", help="Make and show synthetic people and companies.")


@app.command
def new(
    *,
    seed: int,
    org: int = 20,
    state: HomeOption = None,
    json_: JsonOption = False,
) -> None:
    """Make companies with leaders, boards, accountants and sub-units; the next `havn up` loads them.

    The same seed and number give the same people on every machine.

    Parameters
    ----------
    seed
        Any number from 0.
    org
        How many organisations, at most 5000.
    json_
        Write what was made as JSON.
    """
    from havn.local.state import State, StateError
    from havn.local.testdata import fixed, load, seeded

    if seed < 0 or not 1 <= org <= 5000:
        raise Failure("--seed is 0 or more and --org is 1 to 5000: try havn testdata new --seed 7 --org 200.")
    folder = State(state_folder(state))
    try:
        folder.prepare()
        folder.lock()
    except StateError as error:
        raise Failure(str(error)) from error
    try:
        others = [fixed.dataset(), *load.saved(folder.testdata)]
        dataset = seeded.name(seed, org)
        taken = {p.number for other in others if other.name != dataset for p in other.parties if p.number}
        made = seeded.dataset(seed, org, taken=taken)
        path = load.save(made, folder.testdata)
    finally:
        folder.unlock()
    counts = {"parties": len(made.parties), "people": len(made.logins), "roles": len(made.roles)}
    if json_:
        write_json({"name": made.name, "file": str(path), **counts})
        return
    write(f"Made {counts['parties']} parties, {counts['people']} of them people who can sign in: {path}")
    write("They are loaded by the next havn up; on the sign-in page, search for a name or a company.")


@app.command
def people(
    search: str = "",
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    state: HomeOption = None,
    json_: AnswerOption = False,
) -> None:
    """Show the people who can sign in.

    Parameters
    ----------
    search
        Words of a name, a company, a role or a number.
    limit
        How many to show.
    """
    from havn.local.oidc.directory import Directory
    from havn.local.state import State

    found, total = Directory(State(state_folder(state)).testdata).search(search, max(1, limit))
    if json_:
        write_json({"total": total, "people": found})
        return
    write_table(
        ("Name", "National identity number", "Roles"),
        [
            (
                login.name,
                login.pid,
                "; ".join(f"{', '.join(roles)} for {company}" for company, roles in login.roles)
                or login.about.get("en", ""),
            )
            for login in found
        ],
    )
    if len(found) < total:
        write(f"{len(found)} of {total} shown: add words to search for, or --limit.")
