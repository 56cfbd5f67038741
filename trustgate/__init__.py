"""trustgate: a container registry that really verifies."""

__version__ = "0.1.0"
