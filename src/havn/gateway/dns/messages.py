"""The little of a DNS message (RFC 1035 section 4) that must be read to decide: its header and its one question."""

from __future__ import annotations

import msgspec

_HEADER = 12
_RESPONSE, _OPCODE, _RECURSION_WANTED, _RECURSION = 0x8000, 0x7800, 0x0100, 0x0080
_MOST_NAME = 255

FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED = 1, 2, 3, 4


class Question(msgspec.Struct, frozen=True):
    """What somebody asks."""

    number: int
    """The message's id."""
    flags: int
    name: str
    """Lower case, labels with dots between, none at the end."""
    kind: int
    end: int
    """Where the question ends in the message."""


class NotAQuestion(Exception):
    """The message is none that is answered; with `code`, it is refused by that, otherwise dropped."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def read(message: bytes) -> Question:
    """The question of a query. Raises `NotAQuestion`."""
    if len(message) < _HEADER:
        raise NotAQuestion(None)
    number, flags, questions, answers, authorities = (
        int.from_bytes(message[place : place + 2], "big") for place in range(0, 10, 2)
    )
    if flags & _RESPONSE:
        raise NotAQuestion(None)
    if flags & _OPCODE:
        raise NotAQuestion(NOT_IMPLEMENTED)
    if questions != 1 or answers or authorities:
        raise NotAQuestion(FORMAT_ERROR)
    labels, place, size = [], _HEADER, 0
    while True:
        length = message[place] if place < len(message) else 64
        place += 1
        if length == 0:
            break
        size += length + 1
        # Longer ones are pointers, which a lone question has nothing to point to.
        if length > 63 or size > _MOST_NAME or place + length > len(message):
            raise NotAQuestion(FORMAT_ERROR)
        labels.append(message[place : place + length])
        place += length
    if place + 4 > len(message):
        raise NotAQuestion(FORMAT_ERROR)
    try:
        name = b".".join(labels).decode("ascii").lower()
    except UnicodeDecodeError:
        raise NotAQuestion(FORMAT_ERROR) from None
    # A dot inside a label would read as a border between two.
    if any(b"." in label for label in labels):
        raise NotAQuestion(FORMAT_ERROR)
    return Question(number, flags, name, int.from_bytes(message[place : place + 2], "big"), place + 4)


def refusal(message: bytes, code: int, question: Question | None = None) -> bytes:
    """An answer without records to a query: `code` says why."""
    flags = int.from_bytes(message[2:4], "big")
    answered = _RESPONSE | (flags & (_OPCODE | _RECURSION_WANTED)) | _RECURSION | code
    asked = b"" if question is None else message[_HEADER : question.end]
    counts = (0 if question is None else 1, 0, 0, 0)
    return message[:2] + answered.to_bytes(2, "big") + b"".join(each.to_bytes(2, "big") for each in counts) + asked


def answers(message: bytes, query: bytes, question: Question) -> bool:
    """Whether a message is an answer to exactly this query, and not to another one, or made up by somebody else."""
    return (
        len(message) >= question.end
        and message[:2] == query[:2]
        and bool(message[2] & 0x80)
        and message[4:6] == b"\0\1"
        and message[_HEADER : question.end].lower() == query[_HEADER : question.end].lower()
    )
