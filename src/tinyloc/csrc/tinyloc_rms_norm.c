/* Root mean square normalisation without division or square root: normalise the sum of squares to 1..4 by an
   even power of two, look 1/sqrt up, undo half the power. */
#include "tinyloc_kernels.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

int32_t tinyloc_inverse_root(uint64_t total, uint8_t *e)
{
    /* the largest half with 4^half <= total */
#if TINYLOC_DSP
    const uint32_t upper = (uint32_t)(total >> 32);
    const uint8_t half = (uint8_t)((upper != 0 ? 63 - __builtin_clz(upper) : 31 - __builtin_clz((uint32_t)total)) / 2);
#else
    uint8_t half = 0;
    while (half < 30 && (total >> (2 * half)) >= 4) {
        half++;
    }
#endif
    const uint8_t power = (uint8_t)(2 * half);
    const uint32_t mantissa = (uint32_t)(power <= 30 ? total << (30 - power) : total >> (power - 30));
    TINYLOC_FLASH uint16_t *point = tinyloc_rsqrt_table + ((mantissa >> 24) - 64U);
    const uint32_t rest = (mantissa >> 8) & 0xFFFFU;
    const uint32_t fall = (uint32_t)point[0] - point[1];
    *e = half;
    return (int32_t)(point[0] - ((fall * rest + 32768U) >> 16));
}

#if TINYLOC_MVE
#define TINYLOC_RMS_NORM(name, y_t, store)                                                                     \
    void name(TINYLOC_FLASH tinyloc_rms_norm *op, const int16_t *x, y_t *y)                                    \
    {                                                                                                          \
        int32_t sum = 0; /* not wanted here */                                                                 \
        const uint64_t total = op->epsilon + tinyloc_mve_moments(x, op->size, &sum);                           \
        uint8_t e;                                                                                             \
        const int32_t root = tinyloc_inverse_root(total, &e), shift = e + op->shift;                           \
        for (int32_t left = op->size; left > 0; left -= 4, x += 4, y += 4) {                                   \
            const mve_pred16_t there = vctp32q((uint32_t)left);                                                \
            const int32x4_t product = vmulq_n_s32(vldrhq_z_s32(x, there), root);                               \
            store(y, tinyloc_mve_hold(vrshlq_n_s32(product, -shift), -(int32_t)op->limit, op->limit), there);  \
        }                                                                                                      \
    }
#else
#define TINYLOC_RMS_NORM(name, y_t, store)                                                                     \
    void name(TINYLOC_FLASH tinyloc_rms_norm *op, const int16_t *x, y_t *y)                                    \
    {                                                                                                          \
        uint64_t total = op->epsilon;                                                                          \
        for (uint16_t i = 0; i < op->size; i++) {                                                              \
            total += (uint32_t)((int32_t)x[i] * x[i]);                                                         \
        }                                                                                                      \
        uint8_t e;                                                                                             \
        const int32_t root = tinyloc_inverse_root(total, &e);                                                  \
        const uint8_t shift = (uint8_t)(e + op->shift); /* 0..31, epsilon sees to the lower end */             \
        const int32_t half = (int32_t)(((uint32_t)1 << shift) >> 1);                                           \
        for (uint16_t i = 0; i < op->size; i++) {                                                              \
            y[i] = (y_t)tinyloc_clamp(((int32_t)x[i] * root + half) >> shift, op->limit);                      \
        }                                                                                                      \
    }

#endif

TINYLOC_RMS_NORM(tinyloc_rms_norm_16_16, int16_t, vstrhq_p_s32)
TINYLOC_RMS_NORM(tinyloc_rms_norm_16_8, int8_t, vstrbq_p_s32)
