"""How kernels are compiled, kept on disk, spread over threads and written in vectors.

    compiler --> numba_interfaces --> linking --> machine code <-- disk_cache <-- sealing
       |
    threads          simd, hashing     steps that kernels call, union_find too; simd_types and
                                       simd_lowering compile vectors, simd_pairs_lowering those
                                       of simd_pairs
                     chunks            interruptible blocks of work
                     blas              matrix products beside kernels, on the threads of a fit
                     deferral          signals wait while LLVM calls back, and while files
                                       take their names

Imports nothing of the package outside this folder.
"""
