/* Causal convolution over time, one filter a channel; the past is the operator's state. */
#include "tinyloc_kernels.h"

/* Four taps, Mamba's own number: the past moves up by one and is summed on the way. */
#if TINYLOC_DSP
static inline int32_t four_taps_16(TINYLOC_FLASH int8_t *weight, int16_t *past, int16_t newest, int32_t sum)
{
    const uint32_t oldest = tinyloc_word(past), weights = tinyloc_word(weight);
    const uint32_t third = (uint32_t)past[2], kept = tinyloc_halves(third, (uint32_t)newest);
    uint32_t odd; /* the second and the newest */
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(odd) : "r"(kept), "r"(oldest));
    past[0] = (int16_t)odd;
    __builtin_memcpy(past + 1, &kept, 4);
    sum = tinyloc_dot2(tinyloc_bytes_0_2(weights), tinyloc_halves(oldest, third), sum);
    return tinyloc_dot2(tinyloc_bytes_1_3(weights), odd, sum);
}
#define TINYLOC_FOUR_TAPS(name, value_t)
#else
#define TINYLOC_FOUR_TAPS(name, value_t) TINYLOC_FOUR_TAPS_PLAIN(name, value_t)
#endif

#define TINYLOC_FOUR_TAPS_PLAIN(name, value_t)                                                                 \
    static inline int32_t name(TINYLOC_FLASH int8_t *weight, value_t *past, value_t newest, int32_t sum)       \
    {                                                                                                          \
        const value_t first = past[0], second = past[1], third = past[2];                                      \
        past[0] = second;                                                                                      \
        past[1] = third;                                                                                       \
        past[2] = newest;                                                                                      \
        sum += (int32_t)weight[0] * first + (int32_t)weight[1] * second + (int32_t)weight[2] * third;          \
        return sum + (int32_t)weight[3] * newest;                                                              \
    }

TINYLOC_FOUR_TAPS(four_taps_16, int16_t)
TINYLOC_FOUR_TAPS_PLAIN(four_taps_8, int8_t)

#define TINYLOC_CONV(name, value_t, four_taps)                                                                 \
    void name(TINYLOC_FLASH tinyloc_conv *op, value_t *past, const value_t *x, value_t *y)                     \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        TINYLOC_FLASH int32_t *bias = op->bias, *multiplier = op->multiplier;                                  \
        const uint16_t taps = op->taps, kept = (uint16_t)(taps - 1);                                           \
        const tinyloc_factor by = op->factor;                                                                  \
        for (const value_t *end = y + op->channels; y != end; weight += taps, past += kept) {                  \
            const value_t newest = *x++;                                                                       \
            int32_t sum = *bias++;                                                                             \
            if (kept == 3) {                                                                                   \
                sum = four_taps(weight, past, newest, sum);                                                    \
            } else {                                                                                           \
                sum += (int32_t)weight[kept] * newest;                                                         \
                for (uint16_t tap = 0; tap < kept; tap++) {                                                    \
                    sum += (int32_t)weight[tap] * past[tap];                                                   \
                    past[tap] = tap + 1 < kept ? past[tap + 1] : newest;                                       \
                }                                                                                              \
            }                                                                                                  \
            *y++ = (value_t)tinyloc_requantise_row(sum, *multiplier++, by);                                    \
        }                                                                                                      \
    }

TINYLOC_CONV(tinyloc_conv_16_16, int16_t, four_taps_16)
TINYLOC_CONV(tinyloc_conv_8_8, int8_t, four_taps_8)
