/* The selective scan of Mamba, one step: per channel and state one exponential, one state update, one read. */
#include "tinyloc_kernels.h"

#define TINYLOC_SCAN(name, x_t)                                                                                \
    void name(TINYLOC_FLASH tinyloc_scan *op, int16_t *h, const int16_t *dt, const int16_t *b, const int16_t *c, \
              const x_t *x, int16_t *y)                                                                        \
    {                                                                                                          \
        TINYLOC_FLASH int16_t *decay = op->decay;                                                              \
        const uint16_t channels = op->channels, states = op->states;                                           \
        const uint8_t decay_shift = op->decay_shift;                                                           \
        const int64_t half = (int64_t)1 << (op->y_shift - 1);                                                  \
        for (uint16_t channel = 0; channel < channels; channel++) {                                            \
            const int32_t step = dt[channel], input = x[channel];                                              \
            const int32_t u = tinyloc_requantise(step * input, op->u_multiplier, op->u_shift, 32767);          \
            int32_t read = 0;                                                                                  \
            for (const int16_t *b_n = b, *c_n = c, *end = b + states; b_n != end;) {                           \
                const int32_t keep = tinyloc_power((step * *decay++) >> decay_shift);                          \
                const int32_t next = tinyloc_clamp16((*h * keep + (u * *b_n++ + 16384)) >> 15);                \
                *h++ = (int16_t)next;                                                                          \
                read += next * *c_n++;                                                                         \
            }                                                                                                  \
            const int64_t through = ((int64_t)input * op->skip[channel]) * ((int64_t)1 << op->skip_shift);     \
            const int64_t sum = (int64_t)read * op->y_multiplier + through + half;                             \
            y[channel] = tinyloc_shift_clamp(sum, op->y_shift, op->limit);                                     \
        }                                                                                                      \
    }

TINYLOC_SCAN(tinyloc_scan_16, int16_t)
TINYLOC_SCAN(tinyloc_scan_8, int8_t)
