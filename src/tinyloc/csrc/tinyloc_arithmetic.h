/* The integer arithmetic that every kernel shares. docs/NUMERICS.md defines it to the bit. */
#ifndef TINYLOC_ARITHMETIC_H
#define TINYLOC_ARITHMETIC_H

#include <stdint.h>

/* Where constant tables live. On a chip whose `const` stays in RAM, define it before the first include. */
#ifndef TINYLOC_FLASH
#define TINYLOC_FLASH const
#endif

/* Shifting a negative number right must keep its sign: C99 leaves that to the compiler, so we ask it. */
typedef char tinyloc_needs_arithmetic_shift[((-1) >> 1) == -1 ? 1 : -1];

/* (value * multiplier + 2^(shift - 1)) >> shift in 64 bits. multiplier 0..2^31-1, shift 1..62.
   The result fits 32 bits whenever it fits the tensor behind it; clamp follows at once. */
static inline int64_t tinyloc_requantise(int32_t value, int32_t multiplier, uint8_t shift)
{
    return ((int64_t)value * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
}

/* value held within -limit..limit, limit 1..32767. */
static inline int16_t tinyloc_clamp(int64_t value, int16_t limit)
{
    if (value > limit) {
        return limit;
    }
    if (value < -(int32_t)limit) {
        return (int16_t)-limit;
    }
    return (int16_t)value;
}

/* The same for a value that is already known to fit 32 bits. */
static inline int16_t tinyloc_clamp32(int32_t value, int16_t limit)
{
    if (value > limit) {
        return limit;
    }
    if (value < -(int32_t)limit) {
        return (int16_t)-limit;
    }
    return (int16_t)value;
}

#endif
