"""``python -m phasediag``."""

from .cli import main

main()
