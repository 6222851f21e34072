"""The sender on a log that is rotated, cut short, copied away and half written, killed at any moment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from havn.contracts.levels import Batch
from havn.gateway.records.following import Follower, Place
from havn.gateway.records.sender import Sender
from havn.gateway.records.spool import Spool
from havn.kit.problem import Problem

DOMAIN = "havn.test"


def line(number: int, *, app: str = "first", status: int = 200) -> bytes:
    fields = {
        "StartUTC": f"2026-03-01T12:{number // 60 % 60:02}:{number % 60:02}.{number:09}Z", "Duration": 1000,
        "OriginDuration": 900, "Overhead": 100, "OriginStatus": status, "DownstreamStatus": status,
        "RequestHost": f"ttd.apps.{DOMAIN}", "RequestPath": f"/{app}/{number}", "RouterName": "ttd/first",
    }  # fmt: skip
    return json.dumps(fields).encode() + b"\n"


class Management:
    """Counts what is delivered, each batch once, as the API does; away when told."""

    def __init__(self) -> None:
        self.batches: dict[str, Batch] = {}
        self.away = False
        self.refuses = 0
        self.came = 0

    async def deliver(self, batch: Batch) -> None:
        self.came += 1
        if self.away:
            raise Problem(503, "Away.")
        if self.refuses:
            raise Problem(self.refuses, "Refused.")
        self.batches[batch.id] = batch

    @property
    def good(self) -> int:
        return sum(count.good for batch in self.batches.values() for count in batch.counts)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "access.log"


@pytest.fixture
def management() -> Management:
    return Management()


@pytest.fixture
def sender(log, management, tmp_path):
    """`sender()` is the sender as it is after a restart."""
    log.parent.mkdir()

    def start() -> Sender:
        return Sender(log, tmp_path / "spool", domain=f"{DOMAIN}:8000", source="gw1", deliver=management.deliver)

    return start


def append(log: Path, *lines: bytes) -> None:
    with log.open("ab") as file:
        file.write(b"".join(lines))


async def test_each_line_counts_once_through_restarts(log, management, sender):
    for start in range(0, 30, 10):
        append(log, *(line(number) for number in range(start, start + 10)))
        await sender().turn()
        await sender().turn()
    assert management.good == 30
    assert management.came == 3


async def test_many_counts_go_in_batches_that_are_taken_quickly(log, management, sender):
    append(log, *(line(number, app=f"app{number % 1500}") for number in range(3000)))
    await sender().turn()
    assert management.good == 3000
    assert all(len(batch.counts) <= 1000 for batch in management.batches.values())
    assert len(management.batches) > 1


async def test_no_log_is_no_work(management, sender):
    await sender().turn()
    assert management.came == 0


async def test_a_half_written_line_waits_for_its_end(log, management, sender):
    whole = line(1)
    append(log, line(0), whole[:40])
    running = sender()
    await running.turn()
    assert management.good == 1
    append(log, whole[40:])
    await running.turn()
    assert management.good == 2


async def test_what_is_no_record_is_passed_over_and_counted(log, management, sender):
    append(
        log, b"not json\n", b"{}\n", b"[" * 5000 + b"\n", b'{"StartUTC":"yesterday"}\n', b"\n", b"x" * 100_000 + b"\n"
    )
    append(log, line(1))
    running = sender()
    await running.turn()
    assert (management.good, running.unreadable) == (1, 4)


async def test_a_renamed_log_is_read_to_its_end_before_the_new_one(log, management, sender):
    append(log, line(0), line(1))
    await sender().turn()
    append(log, line(2))
    log.rename(log.with_name("access.log.1"))
    running = sender()
    await running.turn()
    assert management.good == 3
    append(log.with_name("access.log.1"), line(3))
    await running.turn()
    append(log.with_name("access.log.1"), line(4))
    append(log, line(5))
    await running.turn()
    assert management.good == 6


async def test_several_rotations_while_the_sender_was_away_lose_nothing(log, management, sender):
    append(log, line(0))
    await sender().turn()
    for number in range(1, 4):
        append(log, line(number))
        for old in range(3, 0, -1):
            if (path := log.with_name(f"access.log.{old}")).exists():
                path.rename(log.with_name(f"access.log.{old + 1}"))
        log.rename(log.with_name("access.log.1"))
        append(log, line(10 + number))
    await sender().turn()
    assert management.good == 7


async def test_a_log_that_is_copied_away_and_cut_short_loses_nothing(log, management, sender):
    append(log, line(0), line(1))
    await sender().turn()
    append(log, line(2), line(3))
    shutil.copyfile(log, log.with_name("access.log.1"))
    log.write_bytes(b"")
    append(log, line(4))
    await sender().turn()
    await sender().turn()
    assert management.good == 5


async def test_a_log_that_is_cut_short_and_grows_again_is_read_anew(log, management, sender):
    append(log, line(0))
    await sender().turn()
    log.write_bytes(b"")
    append(log, line(1), line(2), line(3))
    await sender().turn()
    assert management.good == 4


async def test_what_management_does_not_take_waits_on_disk_in_order(log, management, sender):
    management.away = True
    for number in range(3):
        append(log, line(number))
        await sender().turn()
    # The log may go meanwhile: what was read is kept.
    log.unlink()
    management.away = False
    await sender().turn()
    assert management.good == 3
    assert management.came == 3 + 3


async def test_a_lost_answer_does_not_make_it_count_twice(log, management, sender):
    append(log, line(0))
    deliver = management.deliver

    async def loses(batch: Batch) -> None:
        await deliver(batch)
        raise Problem(503, "The answer was lost.")

    management.deliver = loses
    await sender().turn()
    management.deliver = deliver
    await sender().turn()
    assert (management.came, management.good) == (2, 1)


async def test_a_batch_that_is_refused_as_wrong_is_put_aside_and_holds_up_nothing(log, management, sender, tmp_path):
    management.refuses = 400
    append(log, line(0))
    await sender().turn()
    management.refuses = 0
    append(log, line(1))
    await sender().turn()
    assert management.good == 1
    assert [path.name for path in (tmp_path / "spool").glob("*.refused")] == ["000000000001.refused"]


async def test_a_kill_between_keeping_a_batch_and_moving_on_does_not_read_it_twice(log, management, sender, tmp_path):
    append(log, line(0))
    await sender().turn()
    append(log, line(1))
    before = (tmp_path / "spool" / "place.json").read_bytes()
    management.away = True
    await sender().turn()
    # The batch is on disk, the place is not.
    (tmp_path / "spool" / "place.json").write_bytes(before)
    management.away = False
    await sender().turn()
    assert management.good == 2


async def test_a_kill_while_the_place_is_written_leaves_the_old_one(log, management, sender, tmp_path):
    append(log, line(0))
    await sender().turn()
    (tmp_path / "spool" / "place.new").write_bytes(b'{"half')
    append(log, line(1))
    await sender().turn()
    assert management.good == 2


def test_pieces_are_whole_lines_however_small_they_are_asked_for(log, tmp_path):
    log.parent.mkdir()
    append(log, *(line(number) for number in range(50)))
    follower, place, found = Follower(log), Place(), []
    while (piece := follower.read(place, limit=500)) is not None:
        found += piece.lines
        place = piece.place
    assert [json.loads(each)["RequestPath"] for each in found] == [f"/first/{number}" for number in range(50)]


def test_a_spool_that_was_never_used_begins_at_nothing(tmp_path):
    spool = Spool(tmp_path / "spool")
    assert spool.place == Place()
    assert spool.waiting() == []
