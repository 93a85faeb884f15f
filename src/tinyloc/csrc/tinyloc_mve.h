/* Arm's vector extension (Helium, Cortex-M55): the inner loops of the kernels on eight or four numbers at a time.
   Each has a plain C form beside its use that gives the same bits. Included where TINYLOC_MVE is 1 alone. */
#ifndef TINYLOC_MVE_H
#define TINYLOC_MVE_H

#include <arm_mve.h>

#include "tinyloc_arithmetic.h"

/* Four numbers as a vector. */
static inline int32x4_t tinyloc_mve_four(int32_t a, int32_t b, int32_t c, int32_t d)
{
    int32x4_t four;
    __asm__("vmov %e0, %1, %2\n\tvmov %f0, %3, %4" : "=&w"(four) : "r"(a), "r"(b), "r"(c), "r"(d));
    return four;
}

/* Sums over whole eights of inputs of four rows of weights, which lie `inputs` apart; groups of four weights are
   kept in the order 0, 2, 1, 3. eights is 1 or more: 11 instructions for 32 products. */
static inline int32x4_t tinyloc_mve_eights(const int8_t *weight, const int16_t *x, uint32_t inputs, uint32_t eights)
{
    static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    const int8_t *second = weight + inputs, *third = second + inputs, *fourth = third + inputs;
    int32_t a = 0, b = 0, c = 0, d = 0;
    __asm__("dls lr, %[eights]\n"
            "1: vldrh.u16 q0, [%[x], %q[order], uxtw #1]\n"
            "vldrb.s16 q1, [%[first]], #8\n"
            "vmladava.s16 %[a], q0, q1\n"
            "vldrb.s16 q2, [%[second]], #8\n"
            "vmladava.s16 %[b], q0, q2\n"
            "vldrb.s16 q1, [%[third]], #8\n"
            "vmladava.s16 %[c], q0, q1\n"
            "vldrb.s16 q2, [%[fourth]], #8\n"
            "vmladava.s16 %[d], q0, q2\n"
            "adds %[x], %[x], #16\n"
            "le lr, 1b"
            : [first] "+l"(weight), [second] "+l"(second), [third] "+l"(third), [fourth] "+l"(fourth), [x] "+r"(x),
              [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d)
            : [eights] "r"(eights), [order] "w"(vldrhq_u16(order))
            : "lr", "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5");
    return tinyloc_mve_four(a, b, c, d);
}

/* The same over what whole eights leave, inputs % 8 that are not 0: a group of four, if there is one, and the rest
   as it lies. */
static inline int32x4_t tinyloc_mve_rest(const int8_t *weight, const int16_t *x, uint32_t inputs)
{
    static const uint16_t order[2][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 2, 1, 3, 4, 5, 6, 7}};
    const mve_pred16_t there = vctp16q(inputs % 8);
    const uint16x8_t places = vldrhq_u16(order[inputs / 4 % 2]);
    const int16x8_t in = vldrhq_gather_shifted_offset_z_s16(x + inputs / 8 * 8, places, there);
    const int32_t a = vmladavq_s16(in, vldrbq_z_s16(weight += inputs / 8 * 8, there));
    const int32_t b = vmladavq_s16(in, vldrbq_z_s16(weight += inputs, there));
    const int32_t c = vmladavq_s16(in, vldrbq_z_s16(weight += inputs, there));
    return tinyloc_mve_four(a, b, c, vmladavq_s16(in, vldrbq_z_s16(weight + inputs, there)));
}

/* Products of x with four rows, which lie `stride` apart, of bytes or of 16-bit numbers in their own order, summed.
   count 1..65535: 10 instructions for 32 products; in the last turn lanes behind the end take no part. */
#define TINYLOC_MVE_DOTS(name, value_t, load)                                                                  \
    static inline int32x4_t name(const value_t *row, const int16_t *x, uint32_t stride, uint32_t count)        \
    {                                                                                                          \
        const value_t *second = row + stride, *third = second + stride, *fourth = third + stride;              \
        int32_t a = 0, b = 0, c = 0, d = 0;                                                                    \
        __asm__("dlstp.16 lr, %[count]\n"                                                                      \
                "1: vldrh.u16 q0, [%[x]], #16\n" load " q1, [%[first]], %[bytes]\n"                            \
                "vmladava.s16 %[a], q0, q1\n" load " q2, [%[second]], %[bytes]\n"                              \
                "vmladava.s16 %[b], q0, q2\n" load " q1, [%[third]], %[bytes]\n"                               \
                "vmladava.s16 %[c], q0, q1\n" load " q2, [%[fourth]], %[bytes]\n"                              \
                "vmladava.s16 %[d], q0, q2\n"                                                                  \
                "letp lr, 1b"                                                                                  \
                : [first] "+l"(row), [second] "+l"(second), [third] "+l"(third), [fourth] "+l"(fourth),        \
                  [x] "+r"(x), [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d)                          \
                : [count] "r"(count), [bytes] "i"(8 * sizeof(value_t))                                         \
                : "lr", "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5");                                   \
        return tinyloc_mve_four(a, b, c, d);                                                                   \
    }

TINYLOC_MVE_DOTS(tinyloc_mve_dots_8, int8_t, "vldrb.s16")
TINYLOC_MVE_DOTS(tinyloc_mve_dots_16, int16_t, "vldrh.u16")

/* Four numbers held within low..high. */
static inline int32x4_t tinyloc_mve_hold(int32x4_t value, int32_t low, int32_t high)
{
    return vmaxq_s32(vminq_s32(value, vdupq_n_s32(high)), vdupq_n_s32(low));
}

/* (upper word of sums * multiplier + 2^(shift - 1)) >> shift, held within low..high. */
static inline int32x4_t tinyloc_mve_rescale(int32x4_t sums, int32x4_t multiplier, uint32_t shift, int32_t low,
                                            int32_t high)
{
    return tinyloc_mve_hold(vrshlq_n_s32(vmulhq_s32(sums, multiplier), -(int32_t)shift), low, high);
}

/* tinyloc_requantise_row of four sums at once. */
static inline int32x4_t tinyloc_mve_requantise(int32x4_t sums, int32x4_t multiplier, tinyloc_factor by)
{
    return tinyloc_mve_rescale(vshlq_r_s32(sums, by.lift), multiplier, by.shift, -(int32_t)by.limit, by.limit);
}

/* tinyloc_power of four exponents, held within 20 bits already. */
static inline uint32x4_t tinyloc_mve_power(uint32x4_t exponent)
{
    const uint32x4_t index = vandq_u32(vshrq_n_u32(exponent, 10), vdupq_n_u32(63));
    const uint32x4_t entry = vldrwq_gather_shifted_offset_u32(tinyloc_exp2_table, index);
    /* the lower halves alone: the fall, and the lower 10 bits of the exponent times 64 */
    const uint16x8_t rest = vreinterpretq_u16_u32(vshlq_n_u32(exponent, 6));
    const uint32x4_t fall = vmullbq_int_u16(vreinterpretq_u16_u32(entry), rest);
    const int32x4_t whole = vreinterpretq_s32_u32(vshrq_n_u32(exponent, 16));
    return vshlq_u32(vshrq_n_u32(vsubq_u32(entry, fall), 16), vnegq_s32(whole));
}

/* Four states of a channel: their rates, h, b; returns the new h. */
static inline int32x4_t tinyloc_mve_states(int32_t dt, int32_t shift, int32x4_t rates, int32x4_t h, int32x4_t b,
                                           int32_t u)
{
    const int32x4_t product = vshlq_r_s32(vmulq_n_s32(rates, dt), -shift);
    const uint32x4_t exponent = vreinterpretq_u32_s32(vminq_s32(product, vdupq_n_s32(0xFFFFF)));
    const int32x4_t keep = vreinterpretq_s32_u32(tinyloc_mve_power(exponent));
    const int32x4_t next = vrshrq_n_s32(vmlaq_n_s32(vmulq_s32(h, keep), b, u), 15);
    return tinyloc_mve_hold(next, -32768, 32767);
}

/* *sum += all of x, and the sum of their squares; size 1..65535. */
static inline uint64_t tinyloc_mve_moments(const int16_t *x, uint32_t size, int32_t *sum)
{
    int32_t total = *sum;
    uint64_t squares = 0;
    __asm__("dlstp.16 lr, %[size]\n"
            "1: vldrh.u16 q0, [%[x]], #16\n"
            "vaddva.s16 %[total], q0\n"
            "vmlaldava.s16 %Q[squares], %R[squares], q0, q0\n"
            "letp lr, 1b"
            : [x] "+r"(x), [total] "+Te"(total), [squares] "+r"(squares)
            : [size] "r"(size)
            : "lr", "cc", "memory", "d0", "d1");
    *sum = total;
    return squares;
}

#endif
