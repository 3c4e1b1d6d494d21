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
from numba.extending import type_callable

from meanshift_fast._jit.simd import (
    ACCUMULATOR_VECTORS,
    LANES,
    ROUNDER,
    accumulator,
    are_equal,
    bit_patterns,
    bits,
    exp,
    fetch_add,
    flat,
    full,
    fused,
    holds_integers,
    item,
    least,
    load,
    load_from,
    load_narrow,
    lowest,
    mask_of,
    most,
    n_set,
    put,
    sqrt,
    store,
    total,
    where,
)
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
)


def _is_rows(array):
    """Whether a type is a flat pointer or a 2-D array, of float64."""
    if isinstance(array, types.Array) and array.ndim != 2:
        return False
    return isinstance(array, FlatType | types.Array) and array.dtype == types.float64


def _pointer(context, builder, kinds, args, width):
    """The address of element ``args[1]`` of ``args[0]``, counted in ``width`` values."""
    data, index = args[:2]
    if isinstance(kinds[0], types.Array):
        data = context.make_array(kinds[0])(context, builder, data).data
    index = context.cast(builder, index, kinds[1], types.intp)
    return builder.gep(data, [builder.mul(index, ir.Constant(I64, width))])


def _row_pointer(context, builder, kinds, args):
    """The address of row ``args[1]`` of ``args[0]``, a vector."""
    return builder.bitcast(_pointer(context, builder, kinds, args, LANES), VECTOR.as_pointer())


def _splat(builder, value, kind=VECTOR):
    """A vector with one value in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _widen(context, builder, kind, value, vector=VectorType):
    """A vector as it is; a scalar in every lane of one."""
    if isinstance(kind, vector):
        return value
    dtype, registers = LANES_OF[vector]
    return _splat(builder, context.cast(builder, value, kind, dtype), registers)


@type_callable(flat)
def _type_flat(context):
    def typer(array):
        """A pointer to a C-ordered array's values."""
        if isinstance(array, types.Array) and array.layout == "C":
            return FlatType(array.dtype)
        return None

    return typer


@lower_builtin(flat, types.Array)
def _lower_flat(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


@type_callable(load)
def _type_load(context):
    return lambda rows, i: VECTOR_TYPE if _is_rows(rows) else None


@lower_builtin(load, FlatType, types.Integer)
@lower_builtin(load, types.Array, types.Integer)
def _lower_load(context, builder, sig, args):
    row = builder.load(_row_pointer(context, builder, sig.args, args))
    row.align = 8  # slower where a row straddles cache lines, but correct
    return row


_LOADED = [FlatType(dtype) for dtype in (types.float64, types.float32, types.int16, types.uint8)]


@type_callable(load_from)
def _type_load_from(context):
    return lambda rows, i: VECTOR_TYPE if rows in _LOADED else None


@type_callable(load_narrow)
def _type_load_narrow(context):
    return lambda rows, i: NARROW_TYPE if rows in _LOADED else None


@lower_builtin(load_from, FlatType, types.Integer)
@lower_builtin(load_narrow, FlatType, types.Integer)
def _lower_load_from(context, builder, sig, args):
    dtype = sig.args[0].dtype
    held = ir.VectorType(context.get_data_type(dtype), LANES)
    pointer = _pointer(context, builder, sig.args, args, 1)
    row = builder.load(builder.bitcast(pointer, held.as_pointer()))
    row.align = dtype.bitwidth // 8
    wanted = LANES_OF[type(sig.return_type)][1]
    if held == wanted:
        return row
    if isinstance(dtype, types.Integer):
        return (builder.sitofp if dtype.signed else builder.uitofp)(row, wanted)
    return builder.fptrunc(row, wanted) if wanted == NARROW else builder.fpext(row, wanted)


SINGLES = FlatType(types.float32)


@type_callable(store)
def _type_store(context):
    return lambda rows, i, values: types.void if _is_rows(rows) or rows == SINGLES else None


@lower_builtin(store, FlatType, types.Integer, VectorType)
@lower_builtin(store, types.Array, types.Integer, VectorType)
def _lower_store(context, builder, sig, args):
    values, pointer = args[2], _pointer(context, builder, sig.args, args, LANES)
    if sig.args[0] == SINGLES:
        values = builder.fptrunc(values, NARROW)
    stored = builder.store(values, builder.bitcast(pointer, values.type.as_pointer()))
    stored.align = sig.args[0].dtype.bitwidth // 8
    return context.get_dummy_value()


@type_callable(item)
def _type_item(context):
    return lambda rows, i: rows.dtype if isinstance(rows, FlatType) else None


@lower_builtin(item, FlatType, types.Integer)
def _lower_item(context, builder, sig, args):
    return builder.load(_pointer(context, builder, sig.args, args, 1))


@type_callable(put)
def _type_put(context):
    return lambda rows, i, value: types.void if isinstance(rows, FlatType) else None


@lower_builtin(put, FlatType, types.Integer, types.Number)
def _lower_put(context, builder, sig, args):
    value = context.cast(builder, args[2], sig.args[2], sig.args[0].dtype)
    builder.store(value, _pointer(context, builder, sig.args, args, 1))
    return context.get_dummy_value()


@type_callable(full)
def _type_full(context):
    return lambda value: VECTOR_TYPE


@lower_builtin(full, types.Number)
def _lower_full(context, builder, sig, args):
    return _widen(context, builder, sig.args[0], args[0])


@type_callable(where)
def _type_where(context):
    return lambda mask, yes, no: yes if isinstance(mask, MaskType) else None


@lower_builtin(where, MaskType, VectorType, VectorType)
@lower_builtin(where, MaskType, NarrowType, NarrowType)
def _lower_where(context, builder, sig, args):
    return builder.select(*args)


@type_callable(holds_integers)
def _type_holds_integers(context):
    return lambda rows: types.boolean if isinstance(rows, FlatType) else None


@lower_builtin(holds_integers, FlatType)
def _lower_holds_integers(context, builder, sig, args):
    return context.get_constant(types.boolean, isinstance(sig.args[0].dtype, types.Integer))


@type_callable(accumulator)
def _type_accumulator(context):
    return lambda: FlatType(types.float64)


@lower_builtin(accumulator)
def _lower_accumulator(context, builder, sig, args):
    vectors = alloca_once(builder, ir.ArrayType(VECTOR, ACCUMULATOR_VECTORS))
    return builder.bitcast(vectors, ir.DoubleType().as_pointer())


@type_callable(fetch_add)
def _type_fetch_add(context):
    return lambda counter, n: types.int64 if counter == FlatType(types.int64) else None


@lower_builtin(fetch_add, FlatType, types.Integer)
def _lower_fetch_add(context, builder, sig, args):
    n = context.cast(builder, args[1], sig.args[1], types.int64)
    return builder.atomic_rmw("add", args[0], n, "monotonic")


@type_callable(bit_patterns)
def _type_bit_patterns(context):
    return lambda rows: FlatType(types.int64) if rows == FlatType(types.float64) else None


@lower_builtin(bit_patterns, FlatType)
def _lower_bit_patterns(context, builder, sig, args):
    return builder.bitcast(args[0], I64.as_pointer())


def _fold(function, emit):
    """Reduce a vector to one number: halves onto halves."""

    @type_callable(function)
    def type_fold(context):
        """A number, of a vector."""
        return lambda values: LANES_OF[type(values)][0] if type(values) in LANES_OF else None

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


_fold(total, lambda builder, x, y: builder.fadd(x, y))
_fold(least, lambda builder, x, y: builder.select(builder.fcmp_ordered("<", x, y), x, y))
_fold(most, lambda builder, x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y))


@type_callable(bits)
def _type_bits(context):
    return lambda mask: types.intp if isinstance(mask, MaskType) else None


@lower_builtin(bits, MaskType)
def _lower_bits(context, builder, sig, args):
    return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), I64)


@type_callable(are_equal)
def _type_are_equal(context):
    return lambda one, other: types.boolean if {one, other} == {MASK_TYPE} else None


@lower_builtin(are_equal, MaskType, MaskType)
def _lower_are_equal(context, builder, sig, args):
    differing = builder.bitcast(builder.xor(*args), ir.IntType(LANES))
    return builder.icmp_unsigned("==", differing, ir.Constant(ir.IntType(LANES), 0))


@type_callable(mask_of)
def _type_mask_of(context):
    return lambda set_bits: MASK_TYPE if isinstance(set_bits, types.Integer) else None


@lower_builtin(mask_of, types.Integer)
def _lower_mask_of(context, builder, sig, args):
    return builder.bitcast(builder.trunc(args[0], ir.IntType(LANES)), MASK_BITS)


@type_callable(n_set)
def _type_n_set(context):
    return lambda set_bits: types.intp if isinstance(set_bits, types.Integer) else None


@lower_builtin(n_set, types.Integer)
def _lower_n_set(context, builder, sig, args):
    return builder.ctpop(args[0])


@type_callable(lowest)
def _type_lowest(context):
    return lambda set_bits: types.intp if isinstance(set_bits, types.Integer) else None


@lower_builtin(lowest, types.Integer)
def _lower_lowest(context, builder, sig, args):
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))


@type_callable(sqrt)
def _type_sqrt(context):
    return lambda values: VECTOR_TYPE if isinstance(values, VectorType) else None


@lower_builtin(sqrt, VectorType)
def _lower_sqrt(context, builder, sig, args):
    kind = ir.FunctionType(VECTOR, [VECTOR])
    function = get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f64")
    return builder.call(function, args)


@type_callable(fused)
def _type_fused(context):
    return lambda x, y, z: z if type(z) in LANES_OF else None


@lower_builtin(fused, NarrowType, NarrowType, NarrowType)
@lower_builtin(fused, VectorType, VectorType, VectorType)
@lower_builtin(fused, VectorType, types.Number, VectorType)
def _lower_fused(context, builder, sig, args):
    vector = type(sig.return_type)
    dtype, kind = LANES_OF[vector]
    name = f"llvm.fmuladd.v{LANES}f{dtype.bitwidth}"
    function = get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    sides = zip(sig.args, args, strict=True)
    return builder.call(function, [_widen(context, builder, *side, vector) for side in sides])


_LOG2E = 1.4426950408889634
# log(2) in two parts; the first has so few digits that its product with 1,100 is exact.
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_INVERSE_FACTORIALS = [1.0 / math.factorial(k) for k in range(14)]


@type_callable(exp)
def _type_exp(context):
    return lambda values: VECTOR_TYPE if isinstance(values, VectorType) else None


@lower_builtin(exp, VectorType)
def _lower_exp(context, builder, sig, args):
    """Write x as n log 2 + r: the bits of a rounded sum hold n, and r is small."""

    def splat(number):
        """A vector of one number."""
        return ir.Constant(VECTOR, [number] * LANES)

    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    multiply_add = get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f64")
    floor = splat(-708.0)
    x = builder.select(builder.fcmp_ordered(">", args[0], floor), args[0], floor)
    shifted = builder.call(multiply_add, [x, splat(_LOG2E), splat(ROUNDER)])
    n = builder.fsub(shifted, splat(ROUNDER))
    r = builder.call(multiply_add, [n, splat(-_LN2_HIGH), x])
    r = builder.call(multiply_add, [n, splat(-_LN2_LOW), r])
    series = splat(_INVERSE_FACTORIALS[-1])
    for coefficient in reversed(_INVERSE_FACTORIALS[:-1]):
        series = builder.call(multiply_add, [series, r, splat(coefficient)])
    whole = ir.VectorType(I64, LANES)
    exponent = builder.shl(builder.bitcast(shifted, whole), ir.Constant(whole, [52] * LANES))
    power = builder.bitcast(builder.add(builder.bitcast(splat(1.0), whole), exponent), VECTOR)
    return builder.fmul(series, power)


def _operator(function, emit, result=None):
    """Define an operator of Python on vectors; a scalar on either side is widened."""
    for vector in LANES_OF:
        _operator_on(function, emit, result, vector)


def _operator_on(function, emit, result, vector):
    """Define an operator on one type of vectors."""
    answer = vector() if result is None else result

    @type_callable(function)
    def type_operator(context):
        """The typing rule."""

        def typer(left, right):
            """The answer of vectors, and of a vector and a number."""
            others = {type(side) for side in (left, right)} - {vector}
            is_on_vectors = vector in (type(left), type(right))
            are_numbers = all(issubclass(kind, types.Number) for kind in others)
            return answer if is_on_vectors and are_numbers else None

        return typer

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
