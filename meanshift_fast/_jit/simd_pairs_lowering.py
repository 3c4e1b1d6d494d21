"""How the functions of simd_pairs.py are compiled: their types, and their LLVM instructions.

    load_pairs, raised, minus, ...   --typing-->  Pairs  --lowering-->  <16 x i32>, <32 x i16>

Importing this file registers them with Numba, which compiler.py does.
"""

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.extending import type_callable

from meanshift_fast._jit.simd import LANES
from meanshift_fast._jit.simd_pairs import (
    add_where,
    firsts,
    larger_halves,
    load_pairs,
    minus,
    pair_of,
    raised,
    seconds,
    smaller_halves,
    sum_of_squares,
)
from meanshift_fast._jit.simd_types import (
    I32,
    I64,
    NARROW,
    NARROW_TYPE,
    PAIRS,
    PAIRS_TYPE,
    VECTOR,
    VECTOR_TYPE,
    FlatType,
    MaskType,
    PairsType,
)

I16 = ir.IntType(16)
HALVES = ir.VectorType(I16, 2 * LANES)
WIDE_HALVES = ir.VectorType(I32, 2 * LANES)
_TWO = ir.Constant(I64, 2)


def _all(value, kind=PAIRS):
    """A constant vector of one number."""
    return ir.Constant(kind, [value] * kind.count)


def _half_by_half(builder, emit, *pairs):
    """Pairs of what an instruction makes of the halves of pairs."""
    return builder.bitcast(emit(*(builder.bitcast(each, HALVES) for each in pairs)), PAIRS)


@type_callable(load_pairs)
def _type_load_pairs(context):
    # A branch on `holds_integers` is typed for other values too, before it is left out.
    return lambda rows, i: PAIRS_TYPE if isinstance(rows, FlatType) else None


@lower_builtin(load_pairs, FlatType, types.Integer)
def _lower_load_pairs(context, builder, sig, args):
    dtype = sig.args[0].dtype
    index = builder.mul(context.cast(builder, args[1], sig.args[1], types.intp), _TWO)
    kind = ir.VectorType(context.get_data_type(dtype), 2 * LANES)
    values = builder.load(builder.bitcast(builder.gep(args[0], [index]), kind.as_pointer()))
    values.align = dtype.bitwidth // 8
    if dtype == types.uint8:
        values = builder.zext(values, HALVES)
    # Of values that are not integers nothing is loaded: see `_type_load_pairs`.
    return builder.bitcast(values, PAIRS) if values.type == HALVES else ir.Constant(PAIRS, None)


@type_callable(pair_of)
def _type_pair_of(context):
    return lambda first, second: PAIRS_TYPE


@lower_builtin(pair_of, types.Number, types.Number)
def _lower_pair_of(context, builder, sig, args):
    first, second = (
        context.cast(builder, value, kind, types.int32)
        for value, kind in zip(args, sig.args, strict=True)
    )
    first = builder.and_(first, ir.Constant(I32, 0xFFFF))
    pair = builder.or_(first, builder.shl(second, ir.Constant(I32, 16)))
    undefined = ir.Constant(PAIRS, ir.Undefined)
    return builder.shuffle_vector(
        builder.insert_element(undefined, pair, ir.Constant(I32, 0)), undefined, _all(0)
    )


@type_callable(raised)
def _type_raised(context):
    return lambda pairs, n_bits: PAIRS_TYPE if pairs == PAIRS_TYPE else None


@lower_builtin(raised, PairsType, types.Integer)
def _lower_raised(context, builder, sig, args):
    n_bits = context.cast(builder, args[1], sig.args[1], types.int16)
    undefined = ir.Constant(HALVES, ir.Undefined)
    n_bits = builder.shuffle_vector(
        builder.insert_element(undefined, n_bits, ir.Constant(I32, 0)), undefined,
        _all(0, WIDE_HALVES),
    )  # fmt: skip
    return _half_by_half(builder, lambda halves: builder.shl(halves, n_bits), args[0])


def _on_two(function, emit):
    """Define a function on the halves of two vectors of pairs."""

    @type_callable(function)
    def type_function(context):
        """Pairs, of two of them."""
        return lambda pairs, others: PAIRS_TYPE if pairs == others == PAIRS_TYPE else None

    @lower_builtin(function, PairsType, PairsType)
    def lower_function(context, builder, sig, args):
        """Write the instruction."""
        return _half_by_half(builder, lambda x, y: emit(builder, x, y), *args)


_on_two(minus, lambda builder, x, y: builder.sub(x, y))
_on_two(larger_halves, lambda builder, x, y: builder.select(builder.icmp_signed(">", x, y), x, y))
_on_two(smaller_halves, lambda builder, x, y: builder.select(builder.icmp_signed("<", x, y), x, y))


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


@type_callable(sum_of_squares)
def _type_sum_of_squares(context):
    return lambda pairs, others: NARROW_TYPE if pairs == others == PAIRS_TYPE else None


@lower_builtin(sum_of_squares, PairsType, PairsType)
def _lower_sum_of_squares(context, builder, sig, args):
    return builder.fadd(*(builder.sitofp(_squares(builder, each), NARROW) for each in args))


@type_callable(add_where)
def _type_add_where(context):
    return lambda mask, sums, pairs: PAIRS_TYPE if sums == pairs == PAIRS_TYPE else None


@lower_builtin(add_where, MaskType, PairsType, PairsType)
def _lower_add_where(context, builder, sig, args):
    mask, sums, pairs = args
    return builder.select(mask, builder.add(sums, pairs), sums)


@type_callable(firsts)
@type_callable(seconds)
def _type_halves(context):
    return lambda pairs: VECTOR_TYPE if pairs == PAIRS_TYPE else None


@lower_builtin(firsts, PairsType)
def _lower_firsts(context, builder, sig, args):
    return builder.sitofp(builder.and_(args[0], _all(0xFFFF)), VECTOR)


@lower_builtin(seconds, PairsType)
def _lower_seconds(context, builder, sig, args):
    return builder.sitofp(builder.lshr(args[0], _all(16)), VECTOR)
