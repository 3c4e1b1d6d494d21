"""How the functions of simd.py are compiled: their types, and their LLVM instructions.

    load, store, full, ...   --typing-->  Vector, Mask, Flat  --lowering-->  <16 x double>, ...

Importing this file registers them with Numba, which compiler.py does.
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once, get_or_insert_function
from numba.core.imputils import lower_builtin

from meanshift_fast._jit import simd
from meanshift_fast._jit.simd import LANES
from meanshift_fast._jit.simd_types import (
    I32,
    I64,
    LANES_OF,
    MASK_BITS,
    MASK_TYPE,
    NARROW,
    NARROW_TYPE,
    VECTOR,
    VECTOR_TYPE,
    FlatType,
    MaskType,
    NarrowType,
    VectorType,
    constant,
    typed,
)

_SINGLES, _WORDS = FlatType(types.float32), FlatType(types.int64)
_LOADED = [FlatType(dtype) for dtype in (types.float64, types.float32, types.int16, types.uint8)]


# Types.


def _is_rows(array):
    """Whether a type is a flat pointer or a 2-D array, of float64."""
    if isinstance(array, types.Array) and array.ndim != 2:
        return False
    return isinstance(array, FlatType | types.Array) and array.dtype == types.float64


def _pointer_to(array):
    """The type of a pointer to the values of a C-ordered array."""
    return FlatType(array.dtype) if isinstance(array, types.Array) and array.layout == "C" else None


typed(simd.flat, _pointer_to)
typed(simd.load, lambda rows, i: VECTOR_TYPE if _is_rows(rows) else None)
typed(simd.load_from, lambda rows, i: VECTOR_TYPE if rows in _LOADED else None)
typed(simd.load_narrow, lambda rows, i: NARROW_TYPE if rows in _LOADED else None)
typed(simd.store, lambda rows, i, row: types.void if _is_rows(rows) or rows == _SINGLES else None)
typed(simd.item, lambda rows, i: rows.dtype if isinstance(rows, FlatType) else None)
typed(simd.put, lambda rows, i, value: types.void if isinstance(rows, FlatType) else None)
typed(simd.holds_integers, lambda rows: types.boolean if isinstance(rows, FlatType) else None)
typed(simd.accumulator, lambda: FlatType(types.float64))
typed(simd.fetch_add, lambda counter, n: types.int64 if counter == _WORDS else None)
typed(simd.bit_patterns, lambda rows: _WORDS if rows == FlatType(types.float64) else None)
typed(simd.full, lambda value: VECTOR_TYPE)
typed(simd.where, lambda mask, yes, no: yes if mask == MASK_TYPE else None)
typed(simd.bits, lambda mask: types.intp if mask == MASK_TYPE else None)
typed(simd.are_equal, lambda one, other: types.boolean if one == other == MASK_TYPE else None)
typed(simd.mask_of, lambda word: MASK_TYPE if isinstance(word, types.Integer) else None)
typed(simd.n_set, lambda word: types.intp if isinstance(word, types.Integer) else None)
typed(simd.lowest, lambda word: types.intp if isinstance(word, types.Integer) else None)
typed(simd.sqrt, lambda values: VECTOR_TYPE if values == VECTOR_TYPE else None)
typed(simd.fused, lambda x, y, z: z if type(z) in LANES_OF else None)
typed(simd.exp, lambda values: VECTOR_TYPE if values == VECTOR_TYPE else None)


# Instructions.


def pointer(context, builder, kinds, args, width):
    """The address of element ``args[1]`` of ``args[0]``, counted in ``width`` values."""
    data, index = args[:2]
    if isinstance(kinds[0], types.Array):
        data = context.make_array(kinds[0])(context, builder, data).data
    index = context.cast(builder, index, kinds[1], types.intp)
    return builder.gep(data, [builder.mul(index, ir.Constant(I64, width))])


def splat(builder, value, kind):
    """A vector with one value in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    zeros = constant(0, ir.VectorType(I32, kind.count))
    return builder.shuffle_vector(first, undefined, zeros)


def _widen(context, builder, kind, value, vector=VectorType):
    """A vector as it is; a scalar in every lane of one."""
    if isinstance(kind, vector):
        return value
    dtype, registers = LANES_OF[vector]
    return splat(builder, context.cast(builder, value, kind, dtype), registers)


@lower_builtin(simd.flat, types.Array)
def _lower_flat(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


@lower_builtin(simd.load, FlatType, types.Integer)
@lower_builtin(simd.load, types.Array, types.Integer)
def _lower_load(context, builder, sig, args):
    address = pointer(context, builder, sig.args, args, LANES)
    row = builder.load(builder.bitcast(address, VECTOR.as_pointer()))
    row.align = 8  # slower where a row straddles cache lines, but correct
    return row


@lower_builtin(simd.load_from, FlatType, types.Integer)
@lower_builtin(simd.load_narrow, FlatType, types.Integer)
def _lower_load_from(context, builder, sig, args):
    dtype = sig.args[0].dtype
    held = ir.VectorType(context.get_data_type(dtype), LANES)
    address = pointer(context, builder, sig.args, args, 1)
    row = builder.load(builder.bitcast(address, held.as_pointer()))
    row.align = dtype.bitwidth // 8
    wanted = LANES_OF[type(sig.return_type)][1]
    if held == wanted:
        return row
    if isinstance(dtype, types.Integer):
        return (builder.sitofp if dtype.signed else builder.uitofp)(row, wanted)
    return builder.fptrunc(row, wanted) if wanted == NARROW else builder.fpext(row, wanted)


@lower_builtin(simd.store, FlatType, types.Integer, VectorType)
@lower_builtin(simd.store, types.Array, types.Integer, VectorType)
def _lower_store(context, builder, sig, args):
    values, address = args[2], pointer(context, builder, sig.args, args, LANES)
    if sig.args[0] == _SINGLES:
        values = builder.fptrunc(values, NARROW)
    stored = builder.store(values, builder.bitcast(address, values.type.as_pointer()))
    stored.align = sig.args[0].dtype.bitwidth // 8
    return context.get_dummy_value()


@lower_builtin(simd.item, FlatType, types.Integer)
def _lower_item(context, builder, sig, args):
    return builder.load(pointer(context, builder, sig.args, args, 1))


@lower_builtin(simd.put, FlatType, types.Integer, types.Number)
def _lower_put(context, builder, sig, args):
    value = context.cast(builder, args[2], sig.args[2], sig.args[0].dtype)
    builder.store(value, pointer(context, builder, sig.args, args, 1))
    return context.get_dummy_value()


@lower_builtin(simd.full, types.Number)
def _lower_full(context, builder, sig, args):
    return _widen(context, builder, sig.args[0], args[0])


@lower_builtin(simd.where, MaskType, VectorType, VectorType)
@lower_builtin(simd.where, MaskType, NarrowType, NarrowType)
def _lower_where(context, builder, sig, args):
    return builder.select(*args)


@lower_builtin(simd.holds_integers, FlatType)
def _lower_holds_integers(context, builder, sig, args):
    return context.get_constant(types.boolean, isinstance(sig.args[0].dtype, types.Integer))


@lower_builtin(simd.accumulator)
def _lower_accumulator(context, builder, sig, args):
    vectors = alloca_once(builder, ir.ArrayType(VECTOR, simd.ACCUMULATOR_VECTORS))
    return builder.bitcast(vectors, ir.DoubleType().as_pointer())


@lower_builtin(simd.fetch_add, FlatType, types.Integer)
def _lower_fetch_add(context, builder, sig, args):
    n = context.cast(builder, args[1], sig.args[1], types.int64)
    return builder.atomic_rmw("add", args[0], n, "monotonic")


@lower_builtin(simd.bit_patterns, FlatType)
def _lower_bit_patterns(context, builder, sig, args):
    return builder.bitcast(args[0], I64.as_pointer())


def _intrinsic(builder, name, *vectors):
    """Call a function that LLVM knows, on vectors of one type."""
    kind, bits = vectors[0].type, 32 if vectors[0].type == NARROW else 64
    signature = ir.FunctionType(kind, [kind] * len(vectors))
    name = f"llvm.{name}.v{LANES}f{bits}"
    return builder.call(get_or_insert_function(builder.module, signature, name), vectors)


def _fold(function, emit):
    """Reduce a vector to one number: halves onto halves."""
    typed(function, lambda values: LANES_OF[type(values)][0] if type(values) in LANES_OF else None)

    @lower_builtin(function, VectorType)
    @lower_builtin(function, NarrowType)
    def lower_fold(context, builder, sig, args):
        """Fold halves until one lane is left."""
        (values,) = args
        size = LANES
        while size > 1:
            size //= 2
            lanes = ir.VectorType(I32, size)
            sides = [ir.Constant(lanes, [*range(first, first + size)]) for first in (0, size)]
            values = emit(builder, *(builder.shuffle_vector(values, values, k) for k in sides))
        return builder.extract_element(values, ir.Constant(I32, 0))


_fold(simd.total, lambda builder, x, y: builder.fadd(x, y))
_fold(simd.least, lambda builder, x, y: builder.select(builder.fcmp_ordered("<", x, y), x, y))
_fold(simd.most, lambda builder, x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y))


@lower_builtin(simd.bits, MaskType)
def _lower_bits(context, builder, sig, args):
    return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), I64)


@lower_builtin(simd.are_equal, MaskType, MaskType)
def _lower_are_equal(context, builder, sig, args):
    differing = builder.bitcast(builder.xor(*args), ir.IntType(LANES))
    return builder.icmp_unsigned("==", differing, ir.Constant(ir.IntType(LANES), 0))


@lower_builtin(simd.mask_of, types.Integer)
def _lower_mask_of(context, builder, sig, args):
    return builder.bitcast(builder.trunc(args[0], ir.IntType(LANES)), MASK_BITS)


@lower_builtin(simd.n_set, types.Integer)
def _lower_n_set(context, builder, sig, args):
    return builder.ctpop(args[0])


@lower_builtin(simd.lowest, types.Integer)
def _lower_lowest(context, builder, sig, args):
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))


@lower_builtin(simd.sqrt, VectorType)
def _lower_sqrt(context, builder, sig, args):
    return _intrinsic(builder, "sqrt", *args)


@lower_builtin(simd.fused, NarrowType, NarrowType, NarrowType)
@lower_builtin(simd.fused, VectorType, VectorType, VectorType)
@lower_builtin(simd.fused, VectorType, types.Number, VectorType)
def _lower_fused(context, builder, sig, args):
    sides, vector = zip(sig.args, args, strict=True), type(sig.return_type)
    factors = (_widen(context, builder, *side, vector) for side in sides)
    return _intrinsic(builder, "fmuladd", *factors)


_LOG2E = 1.4426950408889634
# log(2) in two parts; the first has so few digits that its product with 1,100 is exact.
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_INVERSE_FACTORIALS = [1.0 / math.factorial(k) for k in range(14)]


@lower_builtin(simd.exp, VectorType)
def _lower_exp(context, builder, sig, args):
    """Write x as n log 2 + r: the bits of a rounded sum hold n, and r is small."""

    def multiply_add(x, factor, y):
        """A product and a sum, rounded once where the machine can."""
        return _intrinsic(builder, "fmuladd", x, factor, y)

    floor = constant(-708.0)
    x = builder.select(builder.fcmp_ordered(">", args[0], floor), args[0], floor)
    shifted = multiply_add(x, constant(_LOG2E), constant(simd.ROUNDER))
    n = builder.fsub(shifted, constant(simd.ROUNDER))
    r = multiply_add(n, constant(-_LN2_HIGH), x)
    r = multiply_add(n, constant(-_LN2_LOW), r)
    series = constant(_INVERSE_FACTORIALS[-1])
    for coefficient in reversed(_INVERSE_FACTORIALS[:-1]):
        series = multiply_add(series, r, constant(coefficient))
    whole = ir.VectorType(I64, LANES)
    exponent = builder.shl(builder.bitcast(shifted, whole), constant(52, whole))
    power = builder.bitcast(builder.add(builder.bitcast(constant(1.0), whole), exponent), VECTOR)
    return builder.fmul(series, power)


def _operator(function, emit, result=None):
    """Define an operator of Python on vectors; a scalar on either side is widened."""
    for vector in LANES_OF:
        _operator_on(function, emit, result, vector)


def _operator_on(function, emit, result, vector):
    """Define an operator on one type of vectors."""
    answer = vector() if result is None else result

    def answer_of(left, right):
        """The type of the answer of vectors, and of a vector and a number."""
        others = {type(side) for side in (left, right)} - {vector}
        is_on_vectors = vector in (type(left), type(right))
        are_numbers = all(issubclass(kind, types.Number) for kind in others)
        return answer if is_on_vectors and are_numbers else None

    typed(function, answer_of)
    for left, right in ((vector, vector), (vector, types.Number), (types.Number, vector)):

        @lower_builtin(function, left, right)
        def lower_operator(context, builder, sig, args):
            """Widen both sides, and write the instruction."""
            sides = zip(sig.args, args, strict=True)
            return emit(builder, *(_widen(context, builder, *side, vector) for side in sides))


_operator(operator.add, lambda builder, x, y: builder.fadd(x, y))
_operator(operator.sub, lambda builder, x, y: builder.fsub(x, y))
_operator(operator.mul, lambda builder, x, y: builder.fmul(x, y))
_operator(operator.truediv, lambda builder, x, y: builder.fdiv(x, y))
_operator(operator.le, lambda builder, x, y: builder.fcmp_ordered("<=", x, y), MASK_TYPE)
_operator(operator.lt, lambda builder, x, y: builder.fcmp_ordered("<", x, y), MASK_TYPE)
_operator(operator.ge, lambda builder, x, y: builder.fcmp_ordered(">=", x, y), MASK_TYPE)
_operator(operator.gt, lambda builder, x, y: builder.fcmp_ordered(">", x, y), MASK_TYPE)
