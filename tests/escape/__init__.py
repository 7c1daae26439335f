"""Attacks on the sandbox, each shown to succeed without one in the same run: `make escape`.

`__main__` runs columns (profile x user); for each, `world` makes namespaces of its own, `arena` sets the scene in them,
starts `dativo-bus` with the attacks as its plugin, and judges by what it sees outside. `attacks/` is what runs inside.
Nothing leaves the machine, and what a world holds ends with it. Guards I6, I7, I8, I13.
"""
