"""Meltano projects: read as the real Meltano 4.4.1 reads them, run with equal results, imported with nothing dropped.

`projects/` holds projects as their users write them; `world` copies one into a folder, with the tap that all share, and
runs `meltano` and `dativo` in it. The real Meltano is installed once, outside the repository.
"""
