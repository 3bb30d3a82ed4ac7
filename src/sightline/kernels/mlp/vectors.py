"""Vector instructions for bfloat16 that Numba's own compilation does not reach, as LLVM code.

A processor with AVX512-BF16 multiplies pairs of bfloat16 numbers and adds both products to a float32 number,
in 16 lanes at once: twice the arithmetic of float32 vectors. The functions here work on addresses, because
they step through rows of arrays of several types; strides count elements of four bytes.
"""

import functools

import llvmlite.binding
from llvmlite import ir
from numba import types

from sightline.kernels.compiling import intrinsic

LANES = 16

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)
_WORDS = ir.VectorType(_I32, LANES)


class _BFloat(ir.types.Type):
    """LLVM's bfloat, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


_HALVES = ir.VectorType(_BFloat(), 2 * LANES)
_NARROW = ir.VectorType(_BFloat(), LANES)


@functools.cache
def has_bf16_dot() -> bool:
    """Say whether this processor multiplies pairs of bfloat16 in vectors of 512 bits."""
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:
        return False
    return bool(features.get("avx512bf16")) and bool(features.get("avx512f"))


def _pointer(builder, address, element, offset=None):
    base = builder.inttoptr(address, element.as_pointer())
    return base if offset is None else builder.gep(base, [offset])


def _load(builder, address, offset, vector):
    """Load a vector of four-byte elements, which need not be aligned."""
    pointer = builder.bitcast(_pointer(builder, address, _I32, offset), vector.as_pointer())
    value = builder.load(pointer)
    value.align = 4
    return value


def _store(builder, value, address, offset):
    pointer = builder.bitcast(_pointer(builder, address, _I32, offset), value.type.as_pointer())
    builder.store(value, pointer).align = 4


def _dot(builder, total, a, b):
    kind = ir.FunctionType(_VECTOR, [_VECTOR, _HALVES, _HALVES])
    function = builder.module.globals.get("llvm.x86.avx512bf16.dpbf16ps.512")
    if function is None:
        function = ir.Function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
    return builder.call(function, [total, builder.bitcast(a, _HALVES), builder.bitcast(b, _HALVES)])


def _splat(builder, word):
    zero = ir.Constant(_I32, 0)
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), word, zero)
    mask = ir.Constant(_WORDS, [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_WORDS, ir.Undefined), mask)


def _loop(builder, count, totals, body):
    """Run body(index, totals) -> totals for index 0 … count - 1; gives the last totals."""
    before = builder.block
    loop = builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_I64)
    carried = [builder.phi(total.type) for total in totals]
    results = body(index, carried)
    following = builder.add(index, ir.Constant(_I64, 1))
    done = builder.icmp_signed(">=", following, count)
    end = builder.block
    builder.cbranch(done, after, loop)
    index.add_incoming(ir.Constant(_I64, 0), before)
    index.add_incoming(following, end)
    for phi, start, result in zip(carried, totals, results, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(result, end)
    builder.position_at_end(after)
    return results


def _at(builder, base, *terms):
    """base + Σ factor · stride."""
    for factor, stride in terms:
        step = (
            builder.mul(ir.Constant(_I64, factor), stride)
            if isinstance(factor, int)
            else builder.mul(factor, stride)
        )
        base = builder.add(base, step)
    return base


# A tile of a product: rows of outputs by vectors of samples.
_ROWS, _COLUMNS = 4, 4


def _accumulate(builder, weights, weight_stride, inputs, input_stride, count):
    """Sums of a tile, row by row: Σ_p weights[r, p] · inputs[p, s] over pairs of bfloat16."""
    start = [ir.Constant(_VECTOR, [0.0] * LANES)] * (_ROWS * _COLUMNS)

    def body(index, totals):
        row = builder.mul(index, input_stride)
        vectors = [
            _load(builder, inputs, builder.add(row, ir.Constant(_I64, LANES * c)), _WORDS)
            for c in range(_COLUMNS)
        ]
        result = []
        for r in range(_ROWS):
            place = _at(builder, index, (r, weight_stride))
            word = _splat(builder, builder.load(_pointer(builder, weights, _I32, place)))
            result += [_dot(builder, totals[r * _COLUMNS + c], word, vectors[c]) for c in range(_COLUMNS)]
        return result

    return _loop(builder, count, start, body)


@intrinsic
def product_tile(typing, weights, weight_stride, inputs, input_stride, outputs, output_stride, pairs):
    """Four rows for 64 samples: outputs[r, s] = Σ_p weights[r, p] · inputs[p, s] over pairs of bfloat16.

    Args (int64): address and row stride of the packed weights, of the packed inputs, of the float32 outputs;
    the number of pairs.
    """
    signature = types.void(*[types.int64] * 7)

    def generate(context, builder, signature, arguments):
        w, w_stride, x, x_stride, y, y_stride, count = arguments
        totals = _accumulate(builder, w, w_stride, x, x_stride, count)
        for r in range(_ROWS):
            for c in range(_COLUMNS):
                place = _at(builder, ir.Constant(_I64, LANES * c), (r, y_stride))
                _store(builder, totals[r * _COLUMNS + c], y, place)
        return context.get_dummy_value()

    return signature, generate


def _store_narrow(builder, totals, pairs, plain, stride):
    """Store a tile as bfloat16: interleaved pairs of rows, and plain rows where `plain` is an address."""
    half_words = ir.VectorType(_I32, LANES // 2)
    half_stride = builder.lshr(stride, ir.Constant(_I64, 1))
    interleave = ir.Constant(_pairs_type(), [k // 2 + (LANES if k % 2 else 0) for k in range(2 * LANES)])
    narrow = [builder.fptrunc(total, _NARROW) for total in totals]
    for r in range(0, _ROWS, 2):
        for c in range(_COLUMNS):
            both = [narrow[(r + k) * _COLUMNS + c] for k in range(2)]
            mixed = builder.bitcast(builder.shuffle_vector(*both, interleave), _WORDS)
            _store(builder, mixed, pairs, _at(builder, ir.Constant(_I64, LANES * c), (r // 2, stride)))
            if plain is None:
                continue
            for k in range(2):
                place = _at(builder, ir.Constant(_I64, LANES // 2 * c), (r + k, half_stride))
                _store(builder, builder.bitcast(both[k], half_words), plain, place)


def _rectified(builder, total):
    zeros = ir.Constant(_VECTOR, [0.0] * LANES)
    return builder.select(builder.fcmp_unordered(">", total, zeros), total, zeros)


@intrinsic
def rectified_tile(typing, weights, weight_stride, inputs, stride, outputs, pairs):
    """The same product, negative results made zero, rounded to pairs of bfloat16.

    Args (int64): address and row stride of the packed weights; address of the packed inputs; row stride, in
    samples, of inputs and outputs; address of the packed outputs; the number of pairs.
    """
    signature = types.void(*[types.int64] * 6)

    def generate(context, builder, signature, arguments):
        w, w_stride, x, stride, out, count = arguments
        totals = _accumulate(builder, w, w_stride, x, stride, count)
        _store_narrow(builder, [_rectified(builder, total) for total in totals], out, None, stride)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def rectified_tile_kept(typing, weights, weight_stride, inputs, stride, outputs, plain, pairs):
    """As `rectified_tile`, and plain rows of bfloat16 as well, at the address `plain`."""
    signature = types.void(*[types.int64] * 7)

    def generate(context, builder, signature, arguments):
        w, w_stride, x, stride, out, plain, count = arguments
        totals = _accumulate(builder, w, w_stride, x, stride, count)
        _store_narrow(builder, [_rectified(builder, total) for total in totals], out, plain, stride)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def masked_tile(typing, weights, weight_stride, inputs, stride, outputs, plain, hidden, pairs):
    """As `rectified_tile_kept`, but made zero where the plain rows at `hidden` are zero."""
    signature = types.void(*[types.int64] * 8)

    def generate(context, builder, signature, arguments):
        w, w_stride, x, stride, out, plain, hidden, count = arguments
        totals = _accumulate(builder, w, w_stride, x, stride, count)
        halves = ir.VectorType(ir.IntType(16), LANES)
        none = ir.Constant(halves, [0] * LANES)
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        half_stride = builder.lshr(stride, ir.Constant(_I64, 1))
        masked = []
        for r in range(_ROWS):
            for c in range(_COLUMNS):
                place = _at(builder, ir.Constant(_I64, LANES // 2 * c), (r, half_stride))
                seen = builder.bitcast(_load(builder, hidden, place, ir.VectorType(_I32, LANES // 2)), halves)
                alive = builder.icmp_unsigned("!=", seen, none)
                masked.append(builder.select(alive, totals[r * _COLUMNS + c], zeros))
        _store_narrow(builder, masked, out, plain, stride)
        return context.get_dummy_value()

    return signature, generate


def _sum_lanes(builder, vectors):
    """One vector whose lane k is the sum of the lanes of vector k, by a tree of shuffles."""
    width = 1
    while len(vectors) > 1:
        # Lanes that are `width` apart are folded; two vectors share the lanes of one.
        low = [
            k // (2 * width) * 2 * width + k % width + (LANES if k // width % 2 else 0) for k in range(LANES)
        ]
        high = [index + width for index in low]
        masks = [ir.Constant(_WORDS, mask) for mask in (low, high)]
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, masks[0]), builder.shuffle_vector(a, b, masks[1]))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        width *= 2
    return vectors[0]


@intrinsic
def outer_tile(typing, left, right, stride, totals, total_stride, words):
    """Add a 4 by 4 tile of left · rightᵀ to totals; both hold bfloat16 rows, sample beside sample.

    Args (int64): addresses of the first of four rows of each and their common row stride, address and row
    stride of the float32 totals, the number of pairs of samples divided by 16.
    """
    signature = types.void(*[types.int64] * 6)

    def generate(context, builder, signature, arguments):
        a, b, row_stride, out, out_stride, count = arguments
        start = [ir.Constant(_VECTOR, [0.0] * LANES)] * 16

        def body(index, sums):
            place = builder.mul(index, ir.Constant(_I64, LANES))
            rows = [_load(builder, a, _at(builder, place, (r, row_stride)), _WORDS) for r in range(4)]
            columns = [_load(builder, b, _at(builder, place, (c, row_stride)), _WORDS) for c in range(4)]
            return [_dot(builder, sums[4 * r + c], rows[r], columns[c]) for r in range(4) for c in range(4)]

        sums = _loop(builder, count, start, body)
        tile = _sum_lanes(builder, sums)
        quad = ir.VectorType(_F32, 4)
        for r in range(4):
            mask = ir.Constant(ir.VectorType(_I32, 4), [4 * r + c for c in range(4)])
            part = builder.shuffle_vector(tile, ir.Constant(_VECTOR, ir.Undefined), mask)
            place = _at(builder, ir.Constant(_I64, 0), (r, out_stride))
            _store(builder, builder.fadd(_load(builder, out, place, quad), part), out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def pack_rows(typing, first, second, pairs, plain_first, plain_second, count, rectify):
    """Round two float32 rows to bfloat16, once as interleaved pairs and once as two plain rows.

    Args (int64): addresses of the two rows, of the pairs (a word holds the same sample of both rows), of the
    two plain rows; the number of samples divided by 16; and whether negative numbers become zero.
    """
    signature = types.void(*[types.int64] * 6, types.boolean)

    def generate(context, builder, signature, arguments):
        a, b, out, plain_a, plain_b, count, rectify = arguments
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        interleave = ir.Constant(_pairs_type(), [k // 2 + (LANES if k % 2 else 0) for k in range(2 * LANES)])
        half_words = ir.VectorType(_I32, LANES // 2)

        def body(index, totals):
            place = builder.mul(index, ir.Constant(_I64, LANES))
            half = builder.mul(index, ir.Constant(_I64, LANES // 2))
            narrow = []
            for source, plain in ((a, plain_a), (b, plain_b)):
                value = _load(builder, source, place, _VECTOR)
                positive = builder.select(builder.fcmp_unordered(">", value, zeros), value, zeros)
                value = builder.select(rectify, positive, value)
                rounded = builder.fptrunc(value, _NARROW)
                _store(builder, builder.bitcast(rounded, half_words), plain, half)
                narrow.append(rounded)
            mixed = builder.shuffle_vector(narrow[0], narrow[1], interleave)
            _store(builder, builder.bitcast(mixed, _WORDS), out, place)
            return []

        _loop(builder, count, [], body)
        return context.get_dummy_value()

    return signature, generate


def _pairs_type():
    return ir.VectorType(_I32, 2 * LANES)
