"""What plugins there are: the index that Dativo ships, and the registries that the user added.

Flow: `dativo registry add` > `reader` (bounded reads of a folder, a repository or, by `web`, a server) > `kept`
(checked, pinned by digest, kept for use offline) > `index`, which `search`, `info` and `add` ask. An `entry` is one
variant of a plugin in our own format; `hub` makes one of what Meltano Hub's API serves.
Guards I12: names, commands and packages of a registry are checked before anything is made of them, and I7: an index
that changed is not used before somebody accepted it. Nothing here is read unless a plugin is looked for or added.
Imported by `requirement`, `install` and `cli`; imports `config`, `errors` and its neighbours in `plugins`.
"""
