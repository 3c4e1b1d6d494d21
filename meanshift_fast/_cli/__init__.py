"""The command line; `meanshift-fast` runs `main.main`.

    signals      arguments, parser -> main -> commands, info, demo
                                                 |
                                              memory

Imports the public faces, `_input` (how values are quoted, progress) and `_files` (writers, atomic
writing), and none of the engine's folders.
"""
