/* Fully connected: the widths differ, the arithmetic does not, so one body makes all four. */
#include "tinyloc_kernels.h"

#define TINYLOC_LINEAR(name, x_t, y_t)                                                                         \
    void name(const tinyloc_linear *op, const x_t *x, y_t *y)                                                  \
    {                                                                                                          \
        const int8_t *weight = op->weight;                                                                     \
        const uint16_t inputs = op->inputs;                                                                    \
        for (uint16_t o = 0; o < op->outputs; o++) {                                                           \
            int32_t sum = op->bias[o]; /* lowering proved that no input can make it overflow */                \
            for (uint16_t i = 0; i < inputs; i++) {                                                            \
                sum += (int32_t)*weight++ * x[i];                                                              \
            }                                                                                                  \
            y[o] = (y_t)tinyloc_clamp(tinyloc_requantise(sum, op->multiplier[o], op->shift[o]), op->limit);    \
        }                                                                                                      \
    }

TINYLOC_LINEAR(tinyloc_linear_8_16, int8_t, int16_t)
TINYLOC_LINEAR(tinyloc_linear_8_8, int8_t, int8_t)
TINYLOC_LINEAR(tinyloc_linear_16_16, int16_t, int16_t)
TINYLOC_LINEAR(tinyloc_linear_16_8, int16_t, int8_t)
