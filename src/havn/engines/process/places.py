"""Where each element of an XML document begins: lxml only knows the line on which a start tag ends."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat


class Places:
    """Lines and columns, from 1, of the elements of a document that lxml has already accepted, without a DTD."""

    def __init__(self, xml: bytes, root: Any) -> None:
        starts: list[tuple[int, int]] = []
        parser = expat.ParserCreate()

        def started(_name: str, _attributes: Any) -> None:
            starts.append((parser.CurrentLineNumber, parser.CurrentColumnNumber + 1))

        parser.StartElementHandler = started
        try:
            parser.Parse(xml, True)
        except expat.ExpatError:
            starts.clear()
        nodes = [node for node in root.iter() if isinstance(node.tag, str)]
        # Both read the same document in the same order; the nodes are kept so that they stay the same objects.
        self._places = dict(zip(nodes, starts, strict=False)) if len(nodes) == len(starts) else {}

    def of(self, node: Any) -> tuple[int, int]:
        """Line and column of an element; (line, 0) where only lxml's line is known."""
        return self._places.get(node) or (int(node.sourceline or 0), 0)
