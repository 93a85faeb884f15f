/* Causal convolution over time, one filter a channel; the past is the operator's state. */
#include "tinyloc_kernels.h"

/* One channel: the past moves up by one and is summed on the way. Four taps, Mamba's own number, are written
   out; the loop is for any other. */
#define TINYLOC_CONV(name, value_t)                                                                            \
    void name(TINYLOC_FLASH tinyloc_conv *op, value_t *past, const value_t *x, value_t *y)                     \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        const uint16_t kept = (uint16_t)(op->taps - 1), channels = op->channels;                               \
        const tinyloc_factor factor = op->factor;                                                              \
        for (uint16_t channel = 0; channel < channels; channel++) {                                            \
            const value_t newest = x[channel];                                                                 \
            int32_t sum = op->bias[channel] + (int32_t)weight[kept] * newest;                                  \
            if (kept == 3) {                                                                                   \
                const value_t first = past[0], second = past[1], third = past[2];                              \
                sum += (int32_t)weight[0] * first + (int32_t)weight[1] * second + (int32_t)weight[2] * third;  \
                past[0] = second;                                                                              \
                past[1] = third;                                                                               \
                past[2] = newest;                                                                              \
            } else {                                                                                           \
                for (uint16_t tap = 0; tap < kept; tap++) {                                                    \
                    sum += (int32_t)weight[tap] * past[tap];                                                   \
                    past[tap] = tap + 1 < kept ? past[tap + 1] : newest;                                       \
                }                                                                                              \
            }                                                                                                  \
            weight += kept + 1;                                                                                \
            past += kept;                                                                                      \
            y[channel] = (value_t)tinyloc_requantise_row(sum, op->multiplier[channel], factor); \
        }                                                                                                      \
    }

TINYLOC_CONV(tinyloc_conv_16_16, int16_t)
TINYLOC_CONV(tinyloc_conv_8_8, int8_t)
