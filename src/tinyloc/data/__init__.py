"""Recordings, where they come from, and how they become windows.

`load_windows` is the way in: a data set's name or a file, and `WindowSets` out.
"""

from tinyloc.data.describe import RecordingsFacts, SourceStatus, describe_recordings, describe_sources
from tinyloc.data.load import load_folds, load_material, load_windows
from tinyloc.data.picture import draw_recordings
from tinyloc.data.recording import NOT_HEARD, Recording
from tinyloc.data.render import render_recordings, render_sources
from tinyloc.data.store import load_windows_file, save_windows
from tinyloc.data.windows import Windows, WindowSets, make_windows

__all__ = [
    "NOT_HEARD",
    "Recording",
    "RecordingsFacts",
    "SourceStatus",
    "WindowSets",
    "Windows",
    "describe_recordings",
    "describe_sources",
    "draw_recordings",
    "load_folds",
    "load_material",
    "load_windows",
    "load_windows_file",
    "make_windows",
    "render_recordings",
    "render_sources",
    "save_windows",
]
