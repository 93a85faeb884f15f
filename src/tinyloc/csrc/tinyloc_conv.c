/* Causal convolution over time, one filter a channel; the past is the operator's state. */
#include "tinyloc_kernels.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

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

/* Four channels at a time, tap by tap: what each tap takes from the past moves up by one. */
#if TINYLOC_MVE
#define TINYLOC_FOURS(name, value_t, load, store, gather, scatter)                                             \
    static inline void name(TINYLOC_FLASH tinyloc_conv *op, const int8_t *weight, int32x4_t sums,              \
                            int32x4_t multiplier, value_t *past, const value_t *x, value_t *y)                 \
    {                                                                                                          \
        const uint32_t taps = op->taps;                                                                        \
        const uint32x4_t channel = vidupq_n_u32(0, 1);                                                         \
        const uint32x4_t filters = vmulq_n_u32(channel, taps), pasts = vmulq_n_u32(channel, taps - 1);         \
        const int32x4_t newest = load(x);                                                                      \
        int32x4_t seen = gather(past, pasts); /* two taps at least */                                          \
        for (const int8_t *last = weight + taps - 1; weight != last; past++) {                                 \
            sums = vaddq_s32(sums, vmulq_s32(vldrbq_gather_offset_s32(weight++, filters), seen));              \
            seen = weight == last ? newest : gather(past + 1, pasts);                                          \
            scatter(past, pasts, seen);                                                                        \
        }                                                                                                      \
        sums = vaddq_s32(sums, vmulq_s32(vldrbq_gather_offset_s32(weight, filters), seen));                    \
        store(y, tinyloc_mve_requantise(sums, multiplier, op->factor));                                        \
    }

TINYLOC_FOURS(fours_16, int16_t, vldrhq_s32, vstrhq_s32, vldrhq_gather_shifted_offset_s32,
              vstrhq_scatter_shifted_offset_s32)
TINYLOC_FOURS(fours_8, int8_t, vldrbq_s32, vstrbq_s32, vldrbq_gather_offset_s32, vstrbq_scatter_offset_s32)

#define TINYLOC_FOUR_CHANNELS(fours)                                                                           \
    for (; end - y >= 4; x += 4, y += 4, bias += 4, multiplier += 4, weight += 4 * taps, past += 4 * kept) {   \
        fours(op, weight, vldrwq_s32(bias), vldrwq_s32(multiplier), past, x, y);                               \
    }
#else
#define TINYLOC_FOUR_CHANNELS(fours)
#endif

#define TINYLOC_CONV(name, value_t, four_taps, fours)                                                          \
    void name(TINYLOC_FLASH tinyloc_conv *op, value_t *past, const value_t *x, value_t *y)                     \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        TINYLOC_FLASH int32_t *bias = op->bias, *multiplier = op->multiplier;                                  \
        const uint16_t taps = op->taps, kept = (uint16_t)(taps - 1);                                           \
        const tinyloc_factor by = op->factor;                                                                  \
        const value_t *end = y + op->channels;                                                                 \
        TINYLOC_FOUR_CHANNELS(fours)                                                                           \
        for (; y != end; weight += taps, past += kept) {                                                       \
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

TINYLOC_CONV(tinyloc_conv_16_16, int16_t, four_taps_16, fours_16)
TINYLOC_CONV(tinyloc_conv_8_8, int8_t, four_taps_8, fours_8)
