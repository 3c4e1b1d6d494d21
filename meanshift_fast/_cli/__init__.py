"""The command line; `meanshift-fast` runs `main.main`.

    signals      arguments, image_options, parser -> main -> commands, segment, explore, info, demo
                                                                |
                                                          places, memory, output

Imports the public faces, `_input` (messages, progress, metrics, remarks) and `_files`, and none of
the engine's folders.
"""
