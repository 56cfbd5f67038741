"""Bytes, trust material and a moment in time go in; facts come out. Nothing in here asks anyone."""
