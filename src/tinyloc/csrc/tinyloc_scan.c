/* The selective scan of Mamba, one step: per channel and state one exponential, one state update, one read. */
#include "tinyloc_kernels.h"

/* 2^-(exponent * 2^-16) in Q15, 0..32767: table for the fraction, shift for the whole. */
static inline int32_t exp2_negative(uint32_t exponent)
{
    if (exponent > 0xFFFFFU) {
        exponent = 0xFFFFFU; /* 2^-16: nothing is left in Q15 */
    }
    const uint16_t *point = tinyloc_exp2_table + ((exponent >> 10) & 63U);
    const uint32_t rest = exponent & 1023U;
    const uint32_t fall = (uint32_t)point[0] - point[1];
    return (int32_t)((point[0] - ((fall * rest + 512U) >> 10)) >> (exponent >> 16));
}

#define TINYLOC_SCAN(name, x_t)                                                                                \
    void name(const tinyloc_scan *op, int16_t *h, const int16_t *dt, const int16_t *b, const int16_t *c,       \
              const x_t *x, int16_t *y)                                                                        \
    {                                                                                                          \
        const uint16_t *decay = op->decay;                                                                     \
        const int64_t half = (int64_t)1 << (op->y_shift - 1);                                                  \
        for (uint16_t channel = 0; channel < op->channels; channel++) {                                        \
            const int32_t step = dt[channel], input = x[channel];                                              \
            const int32_t u = tinyloc_clamp(tinyloc_requantise(step * input, op->u_multiplier, op->u_shift),   \
                                            32767);                                                            \
            int32_t read = 0;                                                                                  \
            for (uint16_t n = 0; n < op->states; n++) {                                                        \
                const int32_t keep = exp2_negative(((uint32_t)step * *decay++) >> op->decay_shift);            \
                const int16_t next = tinyloc_clamp32((*h * keep + u * b[n] + 16384) >> 15, 32767);             \
                *h++ = next;                                                                                   \
                read += (int32_t)next * c[n];                                                                  \
            }                                                                                                  \
            const int64_t through = ((int64_t)input * op->skip[channel]) * ((int64_t)1 << op->skip_shift);     \
            const int64_t sum = (int64_t)read * op->y_multiplier + through + half;                             \
            y[channel] = tinyloc_clamp(sum >> op->y_shift, op->limit);                                         \
        }                                                                                                      \
    }

TINYLOC_SCAN(tinyloc_scan_16, int16_t)
TINYLOC_SCAN(tinyloc_scan_8, int8_t)
