"""``python -m trustgate``."""

from trustgate.cli.main import main

main()
