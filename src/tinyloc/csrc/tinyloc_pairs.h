/* Two 16-bit numbers in a word: what Arm's DSP extension does with them, for the kernels that work on rows.
   Only where TINYLOC_DSP is 1; every use has a plain loop beside it that gives the same bits. */
#ifndef TINYLOC_PAIRS_H
#define TINYLOC_PAIRS_H

#include "tinyloc_arithmetic.h"

#if TINYLOC_DSP

/* As tinyloc_word, the other way. */
static inline void tinyloc_store(void *at, uint32_t pair)
{
    __builtin_memcpy(at, &pair, 4);
}

/* The upper halves of both. tinyloc_halves takes the lower ones. */
static inline uint32_t tinyloc_highs(uint32_t a, uint32_t b)
{
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
    return pair;
}

/* A number held within 16 bits, as the lower half of a word. */
static inline uint32_t tinyloc_saturate(int32_t value)
{
    uint32_t result;
    __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(value));
    return result;
}

/* Both numbers, or low where they lie below it; low is a pair itself. */
static inline uint32_t tinyloc_at_least(uint32_t pair, uint32_t low)
{
    uint32_t unused;
    __asm__("ssub16 %1, %0, %2\n\tsel %0, %0, %2" : "+r"(pair), "=&r"(unused) : "r"(low));
    return pair;
}

/* Both numbers held within low..high, which are pairs themselves. */
static inline uint32_t tinyloc_hold(uint32_t pair, uint32_t low, uint32_t high)
{
    uint32_t unused;
    __asm__("ssub16 %1, %0, %2\n\tsel %0, %2, %0" : "+r"(pair), "=&r"(unused) : "r"(high));
    return tinyloc_at_least(pair, low);
}

/* Both sums, each held within 16 bits. */
static inline uint32_t tinyloc_sums(uint32_t a, uint32_t b)
{
    uint32_t pair;
    __asm__("qadd16 %0, %1, %2" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* sum + the squares of both numbers. */
static inline uint64_t tinyloc_squares(uint32_t pair, uint64_t sum)
{
    __asm__("smlald %Q0, %R0, %1, %1" : "+r"(sum) : "r"(pair));
    return sum;
}

/* (value * factor) >> 32 rounded to nearest, halves upward. */
static inline int32_t tinyloc_upper_rounded(int32_t value, int32_t factor)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(value), "r"(factor));
    return result;
}

/* The least and the largest number of a pair, each beside itself. */
typedef struct {
    uint32_t low, high;
} tinyloc_range;

static inline tinyloc_range tinyloc_range_of(int16_t low, int16_t high)
{
    const uint32_t least = (uint32_t)(int32_t)low, most = (uint32_t)(int32_t)high;
    const tinyloc_range range = {tinyloc_halves(least, least), tinyloc_halves(most, most)};
    return range;
}

/* a >> shift and b >> shift, held in range, as a pair. */
static inline uint32_t tinyloc_shifted_pair(int32_t a, int32_t b, uint32_t shift, tinyloc_range range)
{
    const uint32_t pair = tinyloc_halves(tinyloc_saturate(a >> shift), tinyloc_saturate(b >> shift));
    return tinyloc_hold(pair, range.low, range.high);
}

/* tinyloc_requantise_row with a lift of 0 of two sums, sums[0] times m and sums[1] times n, as a pair. */
static inline uint32_t tinyloc_rescale_pair(const int32_t *sums, int32_t m, int32_t n, uint32_t shift,
                                            tinyloc_range range)
{
    const int32_t half = (int32_t)1 << (shift - 1); /* it touches no more than the upper word */
    const int32_t a = tinyloc_upper_sum(sums[0], m, half), b = tinyloc_upper_sum(sums[1], n, half);
    return tinyloc_shifted_pair(a, b, shift, range);
}

#endif
#endif
