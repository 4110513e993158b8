"""How the inspector is laid out on the screen, in Textual's dialect of CSS."""

from __future__ import annotations

from typing import Final

__all__ = ["CSS"]

CSS: Final = """
#title { height: 1; background: $primary; color: $text; }
#heading-row { height: 1; text-style: bold; color: $text-muted; }
Table { height: 1fr; }
Pane { height: 2fr; max-height: 50%; border-top: solid $primary; }
Pane:focus-within { border-top: solid $accent; }
#fields { height: auto; max-height: 5; color: $text-muted; }
#data, #lines, #tree { height: 1fr; background: $background; }
#state { height: 1; color: $text-muted; }
#state.wrong { color: $text-error; }
#prompt { display: none; height: 1; border: none; padding: 0; }
.whole Table, .whole #heading-row { display: none; }
.whole Pane { height: 1fr; max-height: 100%; }
Editor, Help { align: center middle; }
#editor, #help { width: 80; height: auto; max-height: 24; border: solid $accent; padding: 0 1; }
#editor { background: $surface; }
#help { background: $surface; }
#typed { height: 8; }
#heading { text-style: bold; }
#wrong { color: $text-error; height: auto; }
"""
