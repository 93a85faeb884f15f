/* The integer arithmetic that every kernel shares. docs/NUMERICS.md defines it to the bit. */
#ifndef TINYLOC_ARITHMETIC_H
#define TINYLOC_ARITHMETIC_H

#include <stdint.h>

/* Where constant tables and records live: a qualifier, so that a pointer to them bears it too and the compiler
   refuses one that does not. On AVR `const` alone stays in RAM: there it is a named address space of GNU C
   (-std=gnu99), read by LPM. */
#ifndef TINYLOC_FLASH
#if defined(__AVR__) && !defined(__FLASH)
#error "on AVR compile with -std=gnu99 or later: else constant tables would take up the RAM"
#elif defined(__AVR__)
#define TINYLOC_FLASH const __flash
#else
#define TINYLOC_FLASH const
#endif
#endif

/* Shifting a negative number right must keep its sign: C99 leaves that to the compiler, so we ask it. */
typedef char tinyloc_needs_arithmetic_shift[((-1) >> 1) == -1 ? 1 : -1];

/* Instructions of Arm's DSP extension that C has no word for. Every use has a plain C form beside it that gives
   the same bits. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(__ARM_BIG_ENDIAN) && !defined(TINYLOC_PLAIN)
#define TINYLOC_DSP 1
/* Bytes 0 and 2 of four, sign extended to the two halves of a word. */
static inline uint32_t tinyloc_bytes_0_2(uint32_t four)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(four));
    return pair;
}
/* Bytes 1 and 3. */
static inline uint32_t tinyloc_bytes_1_3(uint32_t four)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(four));
    return pair;
}
/* Four bytes from anywhere: by this name it is one load, also where the C library is not there. */
static inline uint32_t tinyloc_word(const void *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, 4);
    return value;
}
/* Products of signed halves, sum + low half * low half and so on, and a 32-bit number times a half, less 16 bits. */
#define TINYLOC_HALVES(name, instruction)                                                                      \
    static inline int32_t name(uint32_t a, uint32_t b, int32_t sum)                                            \
    {                                                                                                          \
        int32_t result;                                                                                        \
        __asm__(instruction " %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));                      \
        return result;                                                                                         \
    }
TINYLOC_HALVES(tinyloc_add_low_low, "smlabb")
TINYLOC_HALVES(tinyloc_add_low_high, "smlabt")
TINYLOC_HALVES(tinyloc_add_high_high, "smlatt")
static inline int32_t tinyloc_mul_low(uint32_t a, uint32_t b)
{
    int32_t result;
    __asm__("smulbb %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}
static inline uint32_t tinyloc_scale_low(int32_t whole, uint32_t halves)
{
    uint32_t result;
    __asm__("smulwb %0, %1, %2" : "=r"(result) : "r"(whole), "r"(halves));
    return result;
}
static inline uint32_t tinyloc_scale_high(int32_t whole, uint32_t halves)
{
    uint32_t result;
    __asm__("smulwt %0, %1, %2" : "=r"(result) : "r"(whole), "r"(halves));
    return result;
}
/* The lower halves of both, the second's above. */
static inline uint32_t tinyloc_halves(uint32_t low, uint32_t high)
{
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(low), "r"(high));
    return result;
}
/* sum + both products of signed halves. */
static inline int32_t tinyloc_dot2(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}
#else
#define TINYLOC_DSP 0
#endif

/* The vector extension has loops of its own, in tinyloc_mve.h. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(__ARM_BIG_ENDIAN) && !defined(TINYLOC_PLAIN)
#define TINYLOC_MVE 1
#else
#define TINYLOC_MVE 0
#endif

/* Tables, generated: their bytes are made in quant/tables.py alone. */
extern TINYLOC_FLASH uint32_t tinyloc_exp2_table[64];   /* 2^(-i/64), Q15, in the upper half; its fall in the lower */
extern TINYLOC_FLASH uint16_t tinyloc_rsqrt_table[193]; /* 1 / sqrt(1 + i/64), Q15 */

#if defined(__AVR_HAVE_MUL__) && !defined(TINYLOC_PLAIN)
#define TINYLOC_AVR 1
#include "tinyloc_avr.h"
#else
#define TINYLOC_AVR 0
#endif

/* No instruction makes 64 bits of two 32-bit numbers there: Armv6-M, AVR, MSP430. */
#if (TINYLOC_AVR || defined(__ARM_ARCH_6M__) || defined(__MSP430__)) && !defined(TINYLOC_PLAIN)
#define TINYLOC_NARROW 1
#else
#define TINYLOC_NARROW 0
#endif

/* r (Q15) and e with 1/sqrt(total) = r * 2^-15 * 2^-e. total 16..2^60. */
int32_t tinyloc_inverse_root(uint64_t total, uint8_t *e);

/* 2^-(exponent * 2^-16) in Q15, 0..32767: a table for the fraction, a shift for the whole. exponent >= 0. */
static inline int32_t tinyloc_power(int32_t exponent)
{
#if TINYLOC_DSP
    uint32_t held;
    __asm__("usat %0, #20, %1" : "=r"(held) : "r"(exponent));
#else
    const uint32_t held = exponent > 0xFFFFF ? 0xFFFFFU : (uint32_t)exponent; /* beyond it nothing is left */
#endif
    const uint32_t entry = tinyloc_exp2_table[(held >> 10) & 63U];
    const uint32_t fall = (entry & 0xFFFFU) * (held & 1023U);
    return (int32_t)(((entry - (fall << 6)) >> 16) >> (held >> 16));
}

/* value held within int16. */
static inline int16_t tinyloc_clamp16(int32_t value)
{
#if TINYLOC_DSP
    int32_t result;
    __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(value));
    return (int16_t)result;
#else
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
#endif
}

/* value held within -limit..limit, limit 1..32767. */
static inline int16_t tinyloc_clamp(int32_t value, int16_t limit)
{
    if (value > limit) {
        value = limit;
    }
    if (value < -(int32_t)limit) {
        value = -(int32_t)limit;
    }
    return (int16_t)value;
}

/* sum + the upper word of a * b. */
static inline int32_t tinyloc_upper_sum(int32_t a, int32_t b, int32_t sum)
{
#if TINYLOC_DSP
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return (int32_t)(((int64_t)a * b) >> 32) + sum;
#endif
}

#if TINYLOC_NARROW
/* tinyloc_requantise for a shift of 33 + `shift`, by products of 16 bits. */
int16_t tinyloc_requantise_upper(int32_t value, int32_t multiplier, uint8_t shift, int16_t limit);
#endif

/* clamp(value >> shift) in 64 bits, and clamp((value * multiplier + 2^(shift - 1)) >> shift): the rare slow ways,
   calls, so that they cost the fast paths no register. */
int16_t tinyloc_shift_clamp(int64_t value, uint8_t shift, int16_t limit);
int16_t tinyloc_requantise_wide(int32_t value, int32_t multiplier, uint8_t shift, int16_t limit);

/* The latter. multiplier 0..2^31-1, shift 1..62. From 33 on the half touches the upper word alone, so that word is
   all that is needed: the same bits. */
static inline int16_t tinyloc_requantise(int32_t value, int32_t multiplier, uint8_t shift, int16_t limit)
{
#if TINYLOC_NARROW
    if (shift > 32) {
        return tinyloc_requantise_upper(value, multiplier, (uint8_t)(shift - 33), limit);
    }
#else
    if (shift > 32) {
        const int32_t half = (int32_t)1 << (shift - 33);
        return tinyloc_clamp(tinyloc_upper_sum(value, multiplier, half) >> (shift - 32), limit);
    }
#endif
    return tinyloc_requantise_wide(value, multiplier, shift, limit);
}

/* How the rows of an operator are requantised: clamp((value + half) >> (32 + shift)) of a sum times its multiplier,
   where lowering proved that the sum times 2^lift fits 32 bits. shift 1..30, lift 0..32. */
typedef struct {
    uint8_t lift, shift;
    int16_t limit;
} tinyloc_factor;

/* tinyloc_requantise(sum, multiplier, 32 + shift - lift, limit): the same bits, and never the slow way. */
static inline int16_t tinyloc_requantise_row(int32_t sum, int32_t multiplier, tinyloc_factor by)
{
    const int32_t lifted = (int32_t)((uint32_t)sum << by.lift);
#if TINYLOC_NARROW
    return tinyloc_requantise_upper(lifted, multiplier, (uint8_t)(by.shift - 1), by.limit);
#else
    const int32_t half = (int32_t)1 << (by.shift - 1);
    return tinyloc_clamp(tinyloc_upper_sum(lifted, multiplier, half) >> by.shift, by.limit);
#endif
}

/* clamp((sum + half) >> (32 + shift)) of a 64-bit sum. */
static inline int16_t tinyloc_upper_row(int64_t sum, tinyloc_factor by)
{
    const int32_t half = (int32_t)1 << (by.shift - 1);
    return tinyloc_clamp(((int32_t)(sum >> 32) + half) >> by.shift, by.limit);
}

#endif
