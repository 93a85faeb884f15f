"""Recordings, where they come from, and how they become windows."""
