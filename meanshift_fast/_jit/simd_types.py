"""The types of simd.py in Numba, and the registers that hold them.

    Vector    <16 x double>        Narrow    <16 x float>        Mask    <16 x i1>
    Pairs     <16 x i32>           Flat      a bare pointer to numbers

Importing this file registers them with Numba.
"""

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from meanshift_fast._jit.simd import LANES

I32, I64 = ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(ir.DoubleType(), LANES)
NARROW = ir.VectorType(ir.FloatType(), LANES)
PAIRS = ir.VectorType(I32, LANES)
MASK_BITS = ir.VectorType(ir.IntType(1), LANES)


class VectorType(types.Type):
    """The Numba type of sixteen float64 values in registers."""

    def __init__(self):
        super().__init__("Vector")


class NarrowType(types.Type):
    """The Numba type of sixteen float32 values in registers."""

    def __init__(self):
        super().__init__("Narrow")


class PairsType(types.Type):
    """The Numba type of sixteen pairs of int16 values in registers."""

    def __init__(self):
        super().__init__("Pairs")


class FlatType(types.Type):
    """The Numba type of a bare pointer to numbers."""

    def __init__(self, dtype):
        super().__init__(f"Flat({dtype})")
        self.dtype = dtype


class MaskType(types.Type):
    """The Numba type of sixteen truth values, the result of comparing vectors."""

    def __init__(self):
        super().__init__("Mask")


VECTOR_TYPE = VectorType()
NARROW_TYPE = NarrowType()
PAIRS_TYPE = PairsType()
MASK_TYPE = MaskType()
LANES_OF = {VectorType: (types.float64, VECTOR), NarrowType: (types.float32, NARROW)}


def _hold(kind, registers):
    """Register the registers that hold a type."""

    @register_model(kind)
    class _Model(models.PrimitiveModel):
        def __init__(self, manager, fe_type):
            super().__init__(manager, fe_type, registers)


_hold(VectorType, VECTOR)
_hold(NarrowType, NARROW)
_hold(PairsType, PAIRS)
_hold(MaskType, MASK_BITS)


@register_model(FlatType)
class _FlatModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, manager[fe_type.dtype].get_data_type().as_pointer())
