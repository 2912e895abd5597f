"""The process that carries out one run: `python -m engine.driver`."""
