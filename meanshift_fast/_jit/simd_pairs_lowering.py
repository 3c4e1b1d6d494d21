"""How the functions of simd_pairs.py are compiled: their types, and their LLVM instructions.

    load_pairs, raised, minus, ...   --typing-->  Pairs  --lowering-->  <16 x i32>, <32 x i16>

Importing this file registers them with Numba, which compiler.py does.
"""

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin

from meanshift_fast._jit import simd_pairs
from meanshift_fast._jit.simd import LANES
from meanshift_fast._jit.simd_lowering import pointer, splat
from meanshift_fast._jit.simd_types import (
    I32,
    NARROW,
    NARROW_TYPE,
    PAIRS,
    PAIRS_TYPE,
    VECTOR,
    VECTOR_TYPE,
    FlatType,
    MaskType,
    PairsType,
    constant,
    typed,
)

I16 = ir.IntType(16)
HALVES = ir.VectorType(I16, 2 * LANES)
WIDE_HALVES = ir.VectorType(I32, 2 * LANES)


def _are_pairs(pairs, others):
    """The type of pairs, of two of them."""
    return PAIRS_TYPE if pairs == others == PAIRS_TYPE else None


# A branch on `holds_integers` is typed for other values too, before it is left out.
typed(simd_pairs.load_pairs, lambda rows, i: PAIRS_TYPE if isinstance(rows, FlatType) else None)
typed(simd_pairs.pair_of, lambda first, second: PAIRS_TYPE)
typed(simd_pairs.raised, lambda pairs, n_bits: PAIRS_TYPE if pairs == PAIRS_TYPE else None)
typed(simd_pairs.sum_of_squares, lambda pairs, others: _are_pairs(pairs, others) and NARROW_TYPE)
typed(simd_pairs.add_where, lambda mask, sums, pairs: _are_pairs(sums, pairs))
typed(simd_pairs.firsts, lambda pairs: VECTOR_TYPE if pairs == PAIRS_TYPE else None)
typed(simd_pairs.seconds, lambda pairs: VECTOR_TYPE if pairs == PAIRS_TYPE else None)


def _half_by_half(builder, emit, *pairs):
    """Pairs of what an instruction makes of the halves of pairs."""
    return builder.bitcast(emit(*(builder.bitcast(each, HALVES) for each in pairs)), PAIRS)


@lower_builtin(simd_pairs.load_pairs, FlatType, types.Integer)
def _lower_load_pairs(context, builder, sig, args):
    dtype = sig.args[0].dtype
    kind = ir.VectorType(context.get_data_type(dtype), 2 * LANES)
    address = pointer(context, builder, sig.args, args, 2)
    values = builder.load(builder.bitcast(address, kind.as_pointer()))
    values.align = dtype.bitwidth // 8
    if dtype == types.uint8:
        values = builder.zext(values, HALVES)
    # Of values that are not integers nothing is loaded: see `typed` above.
    return builder.bitcast(values, PAIRS) if values.type == HALVES else ir.Constant(PAIRS, None)


@lower_builtin(simd_pairs.pair_of, types.Number, types.Number)
def _lower_pair_of(context, builder, sig, args):
    first, second = (
        context.cast(builder, value, kind, types.int32)
        for value, kind in zip(args, sig.args, strict=True)
    )
    first = builder.and_(first, ir.Constant(I32, 0xFFFF))
    pair = builder.or_(first, builder.shl(second, ir.Constant(I32, 16)))
    return splat(builder, pair, PAIRS)


@lower_builtin(simd_pairs.raised, PairsType, types.Integer)
def _lower_raised(context, builder, sig, args):
    n_bits = context.cast(builder, args[1], sig.args[1], types.int16)
    n_bits = splat(builder, n_bits, HALVES)
    return _half_by_half(builder, lambda halves: builder.shl(halves, n_bits), args[0])


def _on_two(function, emit):
    """Define a function on the halves of two vectors of pairs."""
    typed(function, _are_pairs)

    @lower_builtin(function, PairsType, PairsType)
    def lower_function(context, builder, sig, args):
        """Write the instruction."""
        return _half_by_half(builder, lambda x, y: emit(builder, x, y), *args)


_on_two(simd_pairs.minus, lambda builder, x, y: builder.sub(x, y))
_on_two(
    simd_pairs.larger_halves,
    lambda builder, x, y: builder.select(builder.icmp_signed(">", x, y), x, y),
)
_on_two(
    simd_pairs.smaller_halves,
    lambda builder, x, y: builder.select(builder.icmp_signed("<", x, y), x, y),
)


def _squares(builder, pairs):
    """The sums of the squares of both halves; LLVM knows this as one instruction of x86-64."""
    wide = builder.sext(builder.bitcast(pairs, HALVES), WIDE_HALVES)
    squares = builder.mul(wide, wide)
    evens, odds = (
        builder.shuffle_vector(
            squares, squares, ir.Constant(PAIRS, list(range(first, 2 * LANES, 2)))
        )
        for first in (0, 1)
    )
    return builder.add(evens, odds)


@lower_builtin(simd_pairs.sum_of_squares, PairsType, PairsType)
def _lower_sum_of_squares(context, builder, sig, args):
    return builder.fadd(*(builder.sitofp(_squares(builder, each), NARROW) for each in args))


@lower_builtin(simd_pairs.add_where, MaskType, PairsType, PairsType)
def _lower_add_where(context, builder, sig, args):
    mask, sums, pairs = args
    return builder.select(mask, builder.add(sums, pairs), sums)


@lower_builtin(simd_pairs.firsts, PairsType)
def _lower_firsts(context, builder, sig, args):
    return builder.sitofp(builder.and_(args[0], constant(0xFFFF, PAIRS)), VECTOR)


@lower_builtin(simd_pairs.seconds, PairsType)
def _lower_seconds(context, builder, sig, args):
    return builder.sitofp(builder.lshr(args[0], constant(16, PAIRS)), VECTOR)
