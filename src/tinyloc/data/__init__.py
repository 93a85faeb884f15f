"""Recordings, where they come from, and how they become windows."""

from tinyloc.data.load import load_material, load_windows
from tinyloc.data.recording import NOT_HEARD, Recording
from tinyloc.data.windows import Windows, WindowSets, make_windows

__all__ = ["NOT_HEARD", "Recording", "WindowSets", "Windows", "load_material", "load_windows", "make_windows"]
