/* Arm's vector extension (Helium, Cortex-M55): the inner loops of linear and scan on eight or four numbers at a time.
   Each has a plain C form beside its use that gives the same bits. Included where TINYLOC_MVE is 1 alone. */
#ifndef TINYLOC_MVE_H
#define TINYLOC_MVE_H

#include <arm_mve.h>

#include "tinyloc_arithmetic.h"

/* Where the inputs of eight weights stand: groups of four weights are kept in the order 0, 2, 1, 3. */
static inline uint16x8_t tinyloc_mve_order(void)
{
    static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    return vldrhq_u16(order);
}

/* What whole eights of inputs leave of a row: a group of four, then inputs % 4 in their own order. */
static inline int32_t tinyloc_mve_rest(const int8_t *weight, const int16_t *x, uint16_t inputs, int32_t sum)
{
    if ((inputs & 4U) != 0) {
        const int16x8_t in = vldrhq_gather_shifted_offset_z_s16(x, tinyloc_mve_order(), vctp16q(4));
        sum = vmladavaq_s16(sum, in, vldrbq_z_s16(weight, vctp16q(4)));
        x += 4;
        weight += 4;
    }
    if ((inputs & 3U) != 0) {
        const mve_pred16_t there = vctp16q(inputs & 3U);
        sum = vmladavaq_s16(sum, vldrhq_z_s16(x, there), vldrbq_z_s16(weight, there));
    }
    return sum;
}

/* Whole eights of inputs of four rows, `eights` of them, 1 or more: 11 instructions for 32 products. */
static inline void tinyloc_mve_four_rows(const int8_t *weight, const int16_t *x, uint16_t inputs, uint32_t eights,
                                         int32_t *sums)
{
    const int8_t *second = weight + inputs, *third = second + inputs, *fourth = third + inputs;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const uint16x8_t order = tinyloc_mve_order();
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
            : [eights] "r"(eights), [order] "w"(order)
            : "lr", "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/* tinyloc_requantise_row of four sums at once. */
static inline int32x4_t tinyloc_mve_requantise(int32x4_t sums, int32x4_t multiplier, tinyloc_factor by)
{
    const int32x4_t upper = vmulhq_s32(vshlq_r_s32(sums, by.lift), multiplier);
    const int32x4_t shifted = vshlq_r_s32(vaddq_n_s32(upper, (int32_t)1 << (by.shift - 1)), -(int32_t)by.shift);
    return vmaxq_s32(vminq_s32(shifted, vdupq_n_s32(by.limit)), vdupq_n_s32(-(int32_t)by.limit));
}

/* Four states of a channel: their rates, h, and u * b; returns the new h. */
static inline int32x4_t tinyloc_mve_states(int32_t dt, int32_t shift, int32x4_t rates, int32x4_t h, int32x4_t in)
{
    const int32x4_t product = vshlq_r_s32(vmulq_n_s32(rates, dt), -shift);
    const uint32x4_t exponent = vreinterpretq_u32_s32(vminq_s32(product, vdupq_n_s32(0xFFFFF)));
    const uint32x4_t index = vandq_u32(vshrq_n_u32(exponent, 10), vdupq_n_u32(63));
    const uint32x4_t entry = vldrwq_gather_shifted_offset_u32(tinyloc_exp2_table, index);
    const uint32x4_t rest = vandq_u32(exponent, vdupq_n_u32(1023));
    const uint32x4_t fall = vmulq_u32(vandq_u32(entry, vdupq_n_u32(0xFFFF)), rest);
    const uint32x4_t value = vshrq_n_u32(vsubq_u32(entry, vshlq_n_u32(fall, 6)), 16);
    const int32x4_t whole = vreinterpretq_s32_u32(vshrq_n_u32(exponent, 16));
    const int32x4_t keep = vreinterpretq_s32_u32(vshlq_u32(value, vnegq_s32(whole)));
    const int32x4_t sum = vaddq_s32(vmulq_s32(h, keep), vaddq_n_s32(in, 16384));
    const int32x4_t next = vshrq_n_s32(sum, 15);
    return vmaxq_s32(vminq_s32(next, vdupq_n_s32(32767)), vdupq_n_s32(-32768));
}

#endif
