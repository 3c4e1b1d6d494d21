"""How kernels are compiled, kept on disk, spread over threads and written in vectors.

    compiler --> joints --> linking --> machine code <-- disk_cache <-- sealing
       |
    threads          simd, hashing     steps that kernels call; simd_lowering compiles vectors
                     chunks            interruptible blocks of work

Imports nothing of the package outside this folder.
"""
