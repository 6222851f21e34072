"""Lists for those who may read some of what is there: full pages, nothing lost, nothing twice, bounded work."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import pytest

from havn.contracts.authorization import AttributePair, DelegatedRight

READ_TASK_9 = [("urn:altinn:rolecode", "dagl", ["read"], ["Task_9"])]
MINE = "instanceOwner.partyId=50001"


async def fill(world, count, *, tasks=10):
    """`count` instances of the party, the n-th one in task n modulo `tasks`, three at a time with one time of change.

    Their ids, oldest first.
    """
    await world.instance(task="Task_0")
    await world.database.execute(
        """insert into instance (guid, org, app, party_id, owner, process, task_id, created, created_by, last_changed,
               last_changed_by)
           select gen_random_uuid(), org, app, party_id, owner,
               jsonb_set(process, '{currentTask,elementId}', to_jsonb('Task_' || n % $2)), 'Task_' || n % $2,
               created, created_by, last_changed + (n / 3) * interval '1 second', last_changed_by
           from instance, generate_series(1, $1) n""",
        count - 1, tasks,
    )  # fmt: skip
    rows = await world.database.fetch("select guid, task_id from instance order by last_changed, guid")
    return [(f"50001/{row['guid']}", row["task_id"]) for row in rows]


async def walk(world, query, token=None):
    """Ids page by page, following `next` to its end."""
    pages, path = [], f"/instances?{query}"
    while True:
        answer = await world.call("GET", path, token or world.user())
        assert answer.status_code == 200, answer.text
        body = answer.json()
        pages.append([each["id"] for each in body["instances"]])
        assert body["count"] == len(pages[-1])
        if body["next"] is None:
            return pages
        assert len(pages) < 200
        path = "/instances?" + urlsplit(body["next"]).query


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 7, 50, 100, 1000])
async def test_who_may_read_every_tenth_of_a_thousand_walks_full_pages(world, policies, order, size):
    rows = await fill(world, 1000)
    world.facts.policies["ttd/skjema"] = policies("ttd", READ_TASK_9)
    wanted = [id_ for id_, task in rows if task == "Task_9"]
    pages = await walk(world, f"{MINE}&size={size}&order={order}:lastChanged")
    assert list(itertools.chain(*pages)) == (wanted if order == "asc" else wanted[::-1])
    assert len(wanted) == 100
    assert [len(page) for page in pages] == [len(wanted[n : n + size]) for n in range(0, 100, size)]


async def test_who_was_given_a_right_on_every_tenth_walks_full_pages(world):
    rows = await fill(world, 1000)
    wanted = [id_ for id_, _ in rows][::-10]
    app = [AttributePair("urn:altinn:org", "ttd"), AttributePair("urn:altinn:app", "skjema")]
    world.facts.rights[1002, 50_001] = [DelegatedRight(f"r{id_}", app, "read", instance_id=id_) for id_ in wanted]
    pages = await walk(world, f"{MINE}&size=30", world.user(1002))
    assert list(itertools.chain(*pages)) == wanted
    assert [len(page) for page in pages] == [30, 30, 30, 10]


async def test_a_page_asks_for_facts_a_few_times_however_many_it_passes_over(world, policies):
    await fill(world, 1000)
    world.facts.policies["ttd/skjema"] = policies("ttd", READ_TASK_9)
    world.facts.asked = 0
    answer = await world.call("GET", f"/instances?{MINE}&size=100", world.user())
    assert (answer.json()["count"], answer.json()["next"]) == (100, None)
    assert world.facts.asked <= 3


async def test_elements_that_take_an_action_are_decided_about_together(world):
    made = [await world.instance() for _ in range(12)]
    for each in made:
        await world.element(each)
        await world.element(each, "internt", token=world.owner())
    world.facts.asked = 0
    answer = await world.call("GET", f"/instances?{MINE}", world.user())
    assert [len(each["data"]) for each in answer.json()["instances"]] == [1] * 12
    assert world.facts.asked == 2
    path = f"/instances?{MINE}&includeDataElements=true"
    app = await world.call("GET", path, world.user(), platform=world.component("ttd", "skjema"))
    assert [len(each["data"]) for each in app.json()["instances"]] == [2] * 12
    owner = await world.call("GET", "/instances?org=ttd", world.owner())
    assert [len(each["data"]) for each in owner.json()["instances"]] == [2] * 12


async def test_a_page_looks_at_a_bounded_number_and_goes_on_after_the_last_of_them(world, policies):
    rows = await fill(world, 12_000, tasks=3000)
    world.facts.policies["ttd/skjema"] = policies("ttd", [("urn:altinn:rolecode", "dagl", ["read"], ["Task_0"])])
    wanted = [id_ for id_, task in rows if task == "Task_0"]
    assert len(wanted) == 4
    pages = await walk(world, f"{MINE}&size=10&order=asc:lastChanged")
    # Ten whole and ten thousand in outline; the rest on the next page.
    assert [len(page) for page in pages] == [len([id_ for id_, _ in rows[:10_010] if id_ in wanted]), 4 - len(pages[0])]
    assert list(itertools.chain(*pages)) == wanted


async def test_what_is_changed_while_the_page_is_made_is_shown_only_if_it_may_still_be_read(world, policies):
    rows = await fill(world, 300)
    world.facts.policies["ttd/skjema"] = policies("ttd", READ_TASK_9)
    whole = [id_ for id_, task in rows[:40] if task == "Task_9"]
    away, gone, named, *others = [id_ for id_, task in rows[40:] if task == "Task_9"]

    async def change():
        guids = [id_.partition("/")[2] for id_ in (away, gone, named)]
        moved = "jsonb_set(process, '{currentTask,elementId}', '\"Task_1\"')"
        await world.database.execute(
            f"update instance set process = {moved}, task_id = 'Task_1' where guid = $1", guids[0]
        )
        await world.database.execute("update instance set is_hard_deleted = true where guid = $1", guids[1])
        await world.database.execute("update instance set read_status = 'Read' where guid = $1", guids[2])

    async def later():
        world.facts.meanwhile.append(change)

    # While the second round of decisions is made: after the outlines were read, before the instances are.
    world.facts.meanwhile.append(later)
    answer = await world.call("GET", f"/instances?{MINE}&size=40&order=asc:lastChanged", world.user())
    shown = answer.json()["instances"]
    assert [each["id"] for each in shown] == [*whole, named, *others]
    assert shown[len(whole)]["status"]["readStatus"] == "Read"


async def test_in_rising_order_what_changes_meanwhile_is_shown_once_as_it_became(world, policies):
    rows = await fill(world, 300)
    world.facts.policies["ttd/skjema"] = policies("ttd", READ_TASK_9)
    first, *others = [id_ for id_, task in rows if task == "Task_9"]

    async def change():
        await world.database.execute(
            "update instance set last_changed = '2027-01-01', read_status = 'Read' where guid = $1",
            first.partition("/")[2],
        )

    world.facts.meanwhile.append(change)
    answer = await world.call("GET", f"/instances?{MINE}&size=40&order=asc:lastChanged", world.user())
    shown = answer.json()["instances"]
    assert [each["id"] for each in shown] == [*others, first]
    assert shown[-1]["status"]["readStatus"] == "Read"
    assert answer.json()["next"] is None


async def test_a_message_box_is_not_emptied_by_what_may_not_be_read_or_is_hidden(world, policies):
    rows = await fill(world, 7000)
    world.facts.policies["ttd/skjema"] = policies("ttd", [(*READ_TASK_9[0][:3], ["Task_9", "Task_8"])])
    application = (await world.call("GET", "/applications/ttd/skjema")).json()
    body = {**application, "messageBoxConfig": {"hideSettings": {"hideOnTask": ["Task_8"]}}}
    await world.call("PUT", "/applications/ttd/skjema", platform=world.component(), json=body)
    box = {"instanceOwnerPartyIdList": [50001]}
    lines = (await world.call("POST", "/sbl/instances/search", world.user(), json=box)).json()
    assert [f"50001/{each['id']}" for each in lines] == [id_ for id_, task in rows[::-1] if task == "Task_9"]
    assert len(lines) == 700
