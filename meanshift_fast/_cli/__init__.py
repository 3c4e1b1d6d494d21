"""The command line; `meanshift-fast` runs `main.main`.

    signals      arguments, image_options, parser -> main -> commands, segment, info, demo
                                                                |
                                                             memory

Imports the public faces, `_input` (how values are quoted, progress) and `_files` (writers, atomic
writing), and none of the engine's folders.
"""
