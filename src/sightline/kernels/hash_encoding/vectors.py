"""Reading, adding to and differencing table entries of two or four float32 features at once, as LLVM code.

An entry's features lie next to each other, so one vector load brings them all and one fused multiply-add
weighs them: half or a quarter of the instructions of a loop over features, which LLVM does not merge because
it cannot prove that entries differ. Plain LLVM vectors, so every processor has them.
"""

from llvmlite import ir
from numba import types

from sightline.kernels.compiling import intrinsic

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_CORNERS = 8


def _pointer(builder, address, element):
    return builder.inttoptr(address, element.as_pointer())


def _corner(builder, entries, weights, corner, stride, features, rows):
    """Address of a corner's entry and its weight in all lanes."""
    place = ir.Constant(_I64, corner * stride)
    entry = builder.load(builder.gep(_pointer(builder, entries, _I32), [place]))
    weight = builder.load(builder.gep(_pointer(builder, weights, _F32), [place]))
    vector = ir.VectorType(_F32, features)
    lanes = ir.Constant(vector, ir.Undefined)
    for lane in range(features):
        lanes = builder.insert_element(lanes, weight, ir.Constant(_I32, lane))
    offset = builder.mul(builder.zext(entry, _I64), ir.Constant(_I64, 4 * features))
    return _pointer(builder, builder.add(rows, offset), vector), lanes


def _multiply_add(builder, a, b, c):
    name = f"llvm.fma.v{a.type.count}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


def _make_weighted_sum(features: int, stride: int):
    @intrinsic
    def weighted_sum(typing, rows, entries, weights):
        """Σ over eight corners of weight · entry, a tuple of the features.

        Args (int64): address of the table's first entry, of the sample's first corner in arrays of entries
        (uint32) and weights (float32), whose corners are `stride` elements apart.
        """
        signature = types.UniTuple(types.float32, features)(types.int64, types.int64, types.int64)

        def generate(context, builder, signature, arguments):
            table, entry_at, weight_at = arguments
            total = ir.Constant(ir.VectorType(_F32, features), [0.0] * features)
            for corner in range(_CORNERS):
                pointer, weight = _corner(builder, entry_at, weight_at, corner, stride, features, table)
                value = builder.load(pointer)
                value.align = 4
                total = _multiply_add(builder, value, weight, total)
            parts = [builder.extract_element(total, ir.Constant(_I32, k)) for k in range(features)]
            return context.make_tuple(builder, signature.return_type, parts)

        return signature, generate

    return weighted_sum


def _make_scatter(features: int, stride: int):
    @intrinsic
    def scatter(typing, rows, entries, weights, gradient):
        """Add weight · gradient (a tuple of the features) to the entries of eight corners."""
        signature = types.void(types.int64, types.int64, types.int64, types.UniTuple(types.float32, features))

        def generate(context, builder, signature, arguments):
            table, entry_at, weight_at, parts = arguments
            upstream = ir.Constant(ir.VectorType(_F32, features), ir.Undefined)
            for k in range(features):
                part = builder.extract_value(parts, k)
                upstream = builder.insert_element(upstream, part, ir.Constant(_I32, k))
            for corner in range(_CORNERS):
                pointer, weight = _corner(builder, entry_at, weight_at, corner, stride, features, table)
                value = builder.load(pointer)
                value.align = 4
                builder.store(_multiply_add(builder, upstream, weight, value), pointer).align = 4
            return context.get_dummy_value()

        return signature, generate

    return scatter


def _make_slopes(features: int, stride: int):
    @intrinsic
    def slopes(typing, rows, entries, weights, gradient):
        """Slopes along x, y and z, within a cell of side 1, of the interpolated entries times `gradient`.

        Along an axis, corners are taken in pairs; a pair's weight is the sum of its two corners' weights.
        """
        signature = types.UniTuple(types.float32, 3)(
            types.int64, types.int64, types.int64, types.UniTuple(types.float32, features)
        )

        def generate(context, builder, signature, arguments):
            table, entry_at, weight_at, parts = arguments
            values, lanes = [], []
            for corner in range(_CORNERS):
                pointer, weight = _corner(builder, entry_at, weight_at, corner, stride, features, table)
                value = builder.load(pointer)
                value.align = 4
                values.append(value)
                lanes.append(weight)
            found = []
            for step in (1, 2, 4):
                total = ir.Constant(values[0].type, [0.0] * features)
                for low in (corner for corner in range(_CORNERS) if not corner & step):
                    difference = builder.fsub(values[low + step], values[low])
                    both = builder.fadd(lanes[low], lanes[low + step])
                    total = _multiply_add(builder, difference, both, total)
                slope = ir.Constant(_F32, 0.0)
                for k in range(features):
                    part = builder.extract_element(total, ir.Constant(_I32, k))
                    slope = builder.fadd(slope, builder.fmul(part, builder.extract_value(parts, k)))
                found.append(slope)
            return context.make_tuple(builder, signature.return_type, found)

        return signature, generate

    return slopes


def _make_prefetch(features: int, stride: int):
    @intrinsic
    def prefetch(typing, rows, entries):
        """Ask for the eight corners' entries, which a later call will read, without waiting for them."""
        signature = types.void(types.int64, types.int64)

        def generate(context, builder, signature, arguments):
            table, entry_at = arguments
            byte = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
            function = builder.module.globals.get("llvm.prefetch.p0i8")
            if function is None:
                function = ir.Function(builder.module, kind, "llvm.prefetch.p0i8")
            # To be read, kept in all caches, data.
            how = [ir.Constant(_I32, value) for value in (0, 3, 1)]
            for corner in range(_CORNERS):
                place = ir.Constant(_I64, corner * stride)
                entry = builder.load(builder.gep(_pointer(builder, entry_at, _I32), [place]))
                offset = builder.mul(builder.zext(entry, _I64), ir.Constant(_I64, 4 * features))
                builder.call(function, [builder.inttoptr(builder.add(table, offset), byte), *how])
            return context.get_dummy_value()

        return signature, generate

    return prefetch


def make_vector_access(features: int, stride: int):
    """Make `weighted_sum`, `scatter`, `prefetch` and `slopes` for a number of features (2 or 4)."""
    makers = (_make_weighted_sum, _make_scatter, _make_prefetch, _make_slopes)
    return tuple(make(features, stride) for make in makers)
