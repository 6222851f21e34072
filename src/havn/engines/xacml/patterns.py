"""XPath/XML Schema regular expressions (XPath Functions 7.6.1), run by RE2 in time linear to the text.

RE2 has no back-references and counts repetitions only to 1000; patterns that need more are refused with a reason.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import Any

import re2

_LENGTH = 4096
_METACHARACTERS = "\\|.-^?*+{}()[]$"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Ranges = tuple[tuple[int, int], ...]

_NAME_START: Ranges = (
    (0x3A, 0x3A), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x2FF), (0x370, 0x37D),
    (0x37F, 0x1FFF), (0x200C, 0x200D), (0x2070, 0x218F), (0x2C00, 0x2FEF), (0x3001, 0xD7FF), (0xF900, 0xFDCF),
    (0xFDF0, 0xFFFD), (0x10000, 0xEFFFF),
)  # fmt: skip
_NAME_CHAR: Ranges = (*_NAME_START, (0x2D, 0x2E), (0x30, 0x39), (0xB7, 0xB7), (0x300, 0x36F), (0x203F, 0x2040))

# XML Schema part 2, appendix F.1.1: the blocks by name. End is exclusive of the next block's start.
_BLOCKS: dict[str, tuple[int, int]] = {
    "BasicLatin": (0x0, 0x7F), "Latin-1Supplement": (0x80, 0xFF), "LatinExtended-A": (0x100, 0x17F),
    "LatinExtended-B": (0x180, 0x24F), "IPAExtensions": (0x250, 0x2AF), "SpacingModifierLetters": (0x2B0, 0x2FF),
    "CombiningDiacriticalMarks": (0x300, 0x36F), "Greek": (0x370, 0x3FF), "GreekandCoptic": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x4FF), "Armenian": (0x530, 0x58F), "Hebrew": (0x590, 0x5FF), "Arabic": (0x600, 0x6FF),
    "Syriac": (0x700, 0x74F), "Thaana": (0x780, 0x7BF), "Devanagari": (0x900, 0x97F), "Bengali": (0x980, 0x9FF),
    "Gurmukhi": (0xA00, 0xA7F), "Gujarati": (0xA80, 0xAFF), "Oriya": (0xB00, 0xB7F), "Tamil": (0xB80, 0xBFF),
    "Telugu": (0xC00, 0xC7F), "Kannada": (0xC80, 0xCFF), "Malayalam": (0xD00, 0xD7F), "Sinhala": (0xD80, 0xDFF),
    "Thai": (0xE00, 0xE7F), "Lao": (0xE80, 0xEFF), "Tibetan": (0xF00, 0xFFF), "Myanmar": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF), "HangulJamo": (0x1100, 0x11FF), "Ethiopic": (0x1200, 0x137F),
    "Cherokee": (0x13A0, 0x13FF), "UnifiedCanadianAboriginalSyllabics": (0x1400, 0x167F), "Ogham": (0x1680, 0x169F),
    "Runic": (0x16A0, 0x16FF), "Khmer": (0x1780, 0x17FF), "Mongolian": (0x1800, 0x18AF),
    "LatinExtendedAdditional": (0x1E00, 0x1EFF), "GreekExtended": (0x1F00, 0x1FFF),
    "GeneralPunctuation": (0x2000, 0x206F), "SuperscriptsandSubscripts": (0x2070, 0x209F),
    "CurrencySymbols": (0x20A0, 0x20CF), "CombiningMarksforSymbols": (0x20D0, 0x20FF),
    "LetterlikeSymbols": (0x2100, 0x214F), "NumberForms": (0x2150, 0x218F), "Arrows": (0x2190, 0x21FF),
    "MathematicalOperators": (0x2200, 0x22FF), "MiscellaneousTechnical": (0x2300, 0x23FF),
    "ControlPictures": (0x2400, 0x243F), "OpticalCharacterRecognition": (0x2440, 0x245F),
    "EnclosedAlphanumerics": (0x2460, 0x24FF), "BoxDrawing": (0x2500, 0x257F), "BlockElements": (0x2580, 0x259F),
    "GeometricShapes": (0x25A0, 0x25FF), "MiscellaneousSymbols": (0x2600, 0x26FF), "Dingbats": (0x2700, 0x27BF),
    "BraillePatterns": (0x2800, 0x28FF), "CJKRadicalsSupplement": (0x2E80, 0x2EFF), "KangxiRadicals": (0x2F00, 0x2FDF),
    "IdeographicDescriptionCharacters": (0x2FF0, 0x2FFF), "CJKSymbolsandPunctuation": (0x3000, 0x303F),
    "Hiragana": (0x3040, 0x309F), "Katakana": (0x30A0, 0x30FF), "Bopomofo": (0x3100, 0x312F),
    "HangulCompatibilityJamo": (0x3130, 0x318F), "Kanbun": (0x3190, 0x319F), "BopomofoExtended": (0x31A0, 0x31BF),
    "EnclosedCJKLettersandMonths": (0x3200, 0x32FF), "CJKCompatibility": (0x3300, 0x33FF),
    "CJKUnifiedIdeographsExtensionA": (0x3400, 0x4DB5), "CJKUnifiedIdeographs": (0x4E00, 0x9FFF),
    "YiSyllables": (0xA000, 0xA48F), "YiRadicals": (0xA490, 0xA4CF), "HangulSyllables": (0xAC00, 0xD7A3),
    "PrivateUse": (0xE000, 0xF8FF), "CJKCompatibilityIdeographs": (0xF900, 0xFAFF),
    "AlphabeticPresentationForms": (0xFB00, 0xFB4F), "ArabicPresentationForms-A": (0xFB50, 0xFDFF),
    "CombiningHalfMarks": (0xFE20, 0xFE2F), "CJKCompatibilityForms": (0xFE30, 0xFE4F),
    "SmallFormVariants": (0xFE50, 0xFE6F), "ArabicPresentationForms-B": (0xFE70, 0xFEFE),
    "HalfwidthandFullwidthForms": (0xFF00, 0xFFEF), "Specials": (0xFFF0, 0xFFFD), "OldItalic": (0x10300, 0x1032F),
    "Gothic": (0x10330, 0x1034F), "Deseret": (0x10400, 0x1044F), "ByzantineMusicalSymbols": (0x1D000, 0x1D0FF),
    "MusicalSymbols": (0x1D100, 0x1D1FF), "MathematicalAlphanumericSymbols": (0x1D400, 0x1D7FF),
    "CJKUnifiedIdeographsExtensionB": (0x20000, 0x2A6D6), "CJKCompatibilityIdeographsSupplement": (0x2F800, 0x2FA1F),
    "Tags": (0xE0000, 0xE007F),
}  # fmt: skip
_CATEGORIES = frozenset({
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf", "Co", "Cn",
})  # fmt: skip


class PatternError(ValueError):
    """The text is not a regular expression of XPath, or one that cannot run in linear time."""


@functools.lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """An object whose `search(text)` tells whether the pattern occurs in a text; PatternError when it is refused."""
    if len(pattern) > _LENGTH:
        raise PatternError(f"a regular expression may have at most {_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_Translator(pattern).translate(), options)
    except re2.error as error:
        text = error.args[0] if error.args else error
        raise PatternError(text.decode() if isinstance(text, bytes) else str(text)) from error


def search(pattern: str, text: str) -> bool:
    """fn:matches: whether the pattern occurs anywhere in the text."""
    return compile_pattern(pattern).search(text) is not None


class _Translator:
    """Rewrites one pattern for RE2: the outside is nearly the same, character classes are not."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def translate(self) -> str:
        out: list[str] = []
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "\\":
                out.append(_as_class(self.escape()))
            elif char == "[":
                out.append(_as_class(self.character_class(0)))
            elif char == "(":
                if self.pattern[self.at + 1 : self.at + 2] == "?" and self.pattern[self.at + 2 : self.at + 3] != ":":
                    raise PatternError("groups with a question mark are not XPath regular expressions")
                self.at += 1
                out.append("(")
            elif char == "]":
                raise PatternError("an unescaped ]")
            elif char == ".":
                self.at += 1
                out.append("[^\\n\\r]")
            elif char in "{}":
                out.append(self.quantity())
            else:
                self.at += 1
                out.append(char if char in "|)^$?*+:" else re2.escape(char))
        return "".join(out)

    def quantity(self) -> str:
        end = self.pattern.find("}", self.at)
        body = self.pattern[self.at + 1 : end]
        if self.pattern[self.at] == "}" or end < 0 or not all(part.isdecimal() for part in body.split(",") if part):
            raise PatternError("an unescaped brace")
        self.at = end + 1
        return "{" + body + "}"

    def escape(self) -> Ranges:
        char = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if not char:
            raise PatternError("a pattern ends in a backslash")
        if char in _ESCAPES:
            return _single(_ESCAPES[char])
        if char in _METACHARACTERS:
            return _single(char)
        if char in "pP":
            return self.property(negated=char == "P")
        if char.isdecimal():
            raise PatternError("back-references are not supported: they cannot run in linear time")
        kind = _multi(char.lower())
        if kind is None:
            raise PatternError(f"unknown escape \\{char}")
        return kind if char.islower() else _without(_ALL, kind)

    def property(self, *, negated: bool) -> Ranges:
        end = self.pattern.find("}", self.at)
        if self.pattern[self.at : self.at + 1] != "{" or end < 0:
            raise PatternError("a category escape needs braces")
        name = self.pattern[self.at + 1 : end]
        self.at = end + 1
        if name.startswith("Is") and name[2:] in _BLOCKS:
            ranges: Ranges = (_BLOCKS[name[2:]],)
        elif name in _CATEGORIES:
            ranges = _category(name)
        else:
            raise PatternError(f"unknown character category {name!r}")
        return _without(_ALL, ranges) if negated else ranges

    def character_class(self, depth: int) -> Ranges:
        if depth > 16:
            raise PatternError("character classes nest too deep")
        self.at += 1
        negated = self.pattern[self.at : self.at + 1] == "^"
        self.at += negated
        found: list[tuple[int, int]] = []
        minus: Ranges = ()
        first = True
        while True:
            char = self.pattern[self.at : self.at + 1]
            if not char:
                raise PatternError("a character class without end")
            if char == "]" and not first:
                self.at += 1
                break
            if char == "-" and self.pattern[self.at + 1 : self.at + 2] == "[" and not first:
                self.at += 1
                minus = self.character_class(depth + 1)
                if self.pattern[self.at : self.at + 1] != "]":
                    raise PatternError("a subtraction must end its character class")
                self.at += 1
                break
            first = False
            start = self.item()
            if (
                len(start) == 1
                and start[0][0] == start[0][1]
                and self.pattern[self.at : self.at + 1] == "-"
                and self.pattern[self.at + 1 : self.at + 2] not in {"]", "["}
            ):
                self.at += 1
                end = self.item()
                if len(end) != 1 or end[0][0] != end[0][1] or end[0][0] < start[0][0]:
                    raise PatternError("a range that goes backwards")
                found.append((start[0][0], end[0][0]))
            else:
                found.extend(start)
        ranges = _joined(found)
        if negated:
            ranges = _without(_ALL, ranges)
        return _without(ranges, minus) if minus else ranges

    def item(self) -> Ranges:
        char = self.pattern[self.at : self.at + 1]
        if char == "\\":
            return self.escape()
        if char in {"[", ""}:
            raise PatternError("an unescaped [ in a character class")
        self.at += 1
        return _single(char)


_ALL: Ranges = ((0, 0x10FFFF),)


def _single(char: str) -> Ranges:
    return ((ord(char), ord(char)),)


def _multi(name: str) -> Ranges | None:
    match name:
        case "s":
            return ((9, 10), (13, 13), (32, 32))
        case "d":
            return _category("Nd")
        case "w":
            return _without(_ALL, _joined([*_category("P"), *_category("Z"), *_category("C")]))
        case "i":
            return _joined(list(_NAME_START))
        case "c":
            return _joined(list(_NAME_CHAR))
        case _:
            return None


@functools.cache
def _all_categories() -> dict[str, list[tuple[int, int]]]:
    # One pass over Unicode, about a tenth of a second, the first time a pattern names a category.
    ranges: dict[str, list[tuple[int, int]]] = {}
    start, current = 0, unicodedata.category(chr(0))
    for code in range(1, sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category != current:
            ranges.setdefault(current, []).append((start, code - 1))
            start, current = code, category
    ranges.setdefault(current, []).append((start, sys.maxunicode))
    return ranges


@functools.lru_cache(maxsize=64)
def _category(name: str) -> Ranges:
    return _joined([r for key, found in _all_categories().items() if key.startswith(name) for r in found])


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if out and start <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return tuple(out)


def _without(ranges: Ranges, minus: Ranges) -> Ranges:
    out: list[tuple[int, int]] = []
    taken = _joined(list(minus))
    for low, end in _joined(list(ranges)):
        start = low
        for first, last in taken:
            if last < start:
                continue
            if first > end:
                break
            if first > start:
                out.append((start, first - 1))
            start = last + 1
        if start <= end:
            out.append((start, end))
    return tuple(out)


def _as_class(ranges: Ranges) -> str:
    if not ranges:
        return "[^\\x00-\\x{10FFFF}]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and 32 <= ranges[0][0] < 127:
        return str(re2.escape(chr(ranges[0][0])))
    return "[" + "".join(f"\\x{{{a:X}}}-\\x{{{b:X}}}" if a != b else f"\\x{{{a:X}}}" for a, b in ranges) + "]"
