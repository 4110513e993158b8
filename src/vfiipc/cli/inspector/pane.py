"""The pane below the table: shows one entry completely."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import ContentSwitcher, Static, Tree
from textual.widgets.tree import TreeNode

from ..streams import one_line
from .details import (
    FORMS,
    JsonObject,
    Lines,
    Raw,
    fields,
    form_of,
    hex_lines,
    parsed_json,
    text_lines,
)
from .entries import Entry

__all__ = ["Pane"]

_NOTHING = Lines(0, 0, lambda _: "")
_OPENED = 200  # values that are expanded at first; Enter expands others


class LineView(ScrollView, can_focus=True):
    """A view that makes only the visible lines."""

    lines = _NOTHING

    def show(self, lines: Lines) -> None:
        """Shows other lines, from the first on."""
        self.lines = lines
        self.virtual_size = Size(lines.width, lines.count)
        self.scroll_to(0, 0, animate=False, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at = self.scroll_offset.y + y
        text = self.lines.at(at) if at < self.lines.count else ""
        strip = Strip([Segment(text)])
        x = self.scroll_offset.x
        return strip.crop_extend(x, x + self.size.width, None).apply_style(self.rich_style)


class JSONTree(Tree[Any]):
    """JSON as a tree; nodes are filled when they are expanded."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__("", id=id)

    def show(self, value: JsonObject | list[Any]) -> None:
        """Shows another value, expanded unless it is too large."""
        self.clear()
        self.root.set_label(_label(None, value))
        self.root.data = value
        left = _OPENED
        nodes = [self.root]
        for node in nodes:
            if left <= 0:
                break
            self._fill(node)
            node.expand()
            left -= len(node.children)
            nodes += [child for child in node.children if child.allow_expand]

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        self._fill(event.node)

    def _fill(self, node: TreeNode[Any]) -> None:
        if node.children:
            return
        value: Any = node.data
        pairs = (
            value if isinstance(value, JsonObject) else [(str(n), v) for n, v in enumerate(value)]
        )
        for name, inner in pairs:
            if isinstance(inner, list):
                node.add(_label(name, inner), data=inner)
            else:
                node.add_leaf(_label(name, inner), data=inner)


def _label(name: str | None, value: Any) -> Text:
    label = Text(no_wrap=True)
    if name is not None:
        label.append(one_line(name), "bold")
        label.append(": ")
    if isinstance(value, JsonObject):
        return label.append(f"{{{len(value)}}}", "dim")
    if isinstance(value, list):
        return label.append(f"[{len(value)}]", "dim")
    if isinstance(value, Raw):
        return label.append(value, "cyan")
    if isinstance(value, str):
        return label.append(f'"{one_line(value)}"', "green")
    return label.append({None: "null", True: "true", False: "false"}[value], "magenta")


class Pane(Vertical):
    """Fields by name, and the data: hex beside characters, text, or JSON as a tree."""

    def __init__(self, *, hidden: bool, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__(id=id)
        self._hidden = hidden
        self._entry: Entry | None = None
        self.form = FORMS[0]  #: one of ``FORMS``
        self._fields = Static(id="fields", markup=False)
        self._lines = LineView(id="lines")
        self._tree = JSONTree(id="tree")
        self._data = ContentSwitcher(self._lines, self._tree, initial="lines", id="data")

    def compose(self) -> ComposeResult:
        yield self._fields
        yield self._data

    def show(self, entry: Entry | None) -> None:
        """Shows an entry, or nothing."""
        self._entry = entry
        self._fields.update("\n".join(fields(entry)) if entry else "")
        message = entry.message if entry is not None else None
        value, lines = None, _NOTHING
        if entry is not None and message is not None and not self._hidden:
            form = form_of(message.data, self.form)
            value = parsed_json(message.data) if form == "json" else None
            lines = text_lines(message.data) if form == "text" else hex_lines(entry)
        self._data.current = "lines" if value is None else "tree"
        if value is None:
            self._lines.show(lines)
        else:
            self._tree.show(value)

    def next_form(self) -> str:
        """Shows the data in the next form; its name."""
        self.form = FORMS[(FORMS.index(self.form) + 1) % len(FORMS)]
        self.show(self._entry)
        return self.form

    def focus_data(self) -> None:
        """Focuses the data, so that the arrow keys scroll it."""
        (self._tree if self._data.current == "tree" else self._lines).focus()
