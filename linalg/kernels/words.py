"""What Numba lacks, straight from LLVM: bit counts, a comparison of 16 keys at once, counters shared by threads.

These are inlined into the kernels that use them, whose caches do not notice a change here: after one, clear the caches.
"""

import numpy as np
from numba import types
from numba.extending import intrinsic

NONE = np.uint32(0xFFFFFFFF)
PENDING = np.uint64(0xFFFFFFFFFFFFFFFF)


@intrinsic
def trailing_zeros(typingctx, x):
    """Count the zero bits below the lowest set bit of a nonzero 64-bit word."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir

        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def less_in_16(typingctx, keys, start, key, lanes):
    """How many of the 16 keys from `start` on are less than `key`, counting lanes whose bit is set: one comparison."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir
        from numba.np import arrayobj

        width = signature.args[0].dtype.bitwidth
        vector, lane = ir.VectorType(ir.IntType(width), 16), ir.IntType(32)
        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        loaded = builder.load(builder.bitcast(builder.gep(data, [args[1]]), vector.as_pointer()), align=width // 8)
        unset = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(unset, args[2], ir.Constant(lane, 0))
        spread = builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(lane, 16), [0] * 16))
        less = builder.icmp_unsigned("<", loaded, spread)
        bits = builder.and_(builder.zext(builder.bitcast(less, ir.IntType(16)), ir.IntType(64)), args[3])
        return builder.ctpop(bits)

    return types.uint64(keys, types.uint64, keys.dtype, types.uint64), codegen


@intrinsic
def claim(typingctx, counter):
    """Return the first entry of a uint64 array and add one to it, in one step for all threads."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.uint64(counter), codegen


@intrinsic
def publish(typingctx, array, index, value):
    """Store one entry of a uint64 array so that other threads see it."""

    def codegen(context, builder, signature, args):
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64), codegen


@intrinsic
def look(typingctx, array, index):
    """Read one entry of a uint64 array that other threads may publish."""

    def codegen(context, builder, signature, args):
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.uint64(array, types.uint64), codegen
