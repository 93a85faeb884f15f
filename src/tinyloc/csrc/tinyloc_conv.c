/* Causal convolution over time, one filter a channel; the past is the operator's state. */
#include "tinyloc_kernels.h"

#define TINYLOC_CONV(name, value_t)                                                                            \
    void name(const tinyloc_conv *op, value_t *past, const value_t *x, value_t *y)                             \
    {                                                                                                          \
        const int8_t *weight = op->weight;                                                                     \
        const uint16_t kept = (uint16_t)(op->taps - 1);                                                        \
        for (uint16_t channel = 0; channel < op->channels; channel++) {                                        \
            const value_t newest = x[channel];                                                                 \
            int32_t sum = op->bias[channel];                                                                   \
            for (uint16_t tap = 0; tap < kept; tap++) {                                                        \
                sum += (int32_t)*weight++ * past[tap];                                                         \
                past[tap] = tap + 1 < kept ? past[tap + 1] : newest;                                           \
            }                                                                                                  \
            sum += (int32_t)*weight++ * newest;                                                                \
            past += kept;                                                                                      \
            y[channel] = (value_t)tinyloc_clamp(                                                               \
                tinyloc_requantise(sum, op->multiplier[channel], op->shift[channel]), op->limit);              \
        }                                                                                                      \
    }

TINYLOC_CONV(tinyloc_conv_16_16, int16_t)
TINYLOC_CONV(tinyloc_conv_8_8, int8_t)
