"""Sphinx configuration: CommonMark pages by MyST, no requests to anybody while building or reading."""

from trustgate import __version__

project = "trustgate"
author = "The trustgate authors"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"trustgate {__version__}"
myst_heading_anchors = 3
