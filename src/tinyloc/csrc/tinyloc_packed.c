/* Linear and embed with weights of 4 bits, unpacked as they are read. */
#include "tinyloc_packed.h"

static inline int32_t even(uint8_t pair)
{
    return (int32_t)(pair & 15U) - 8;
}

static inline int32_t odd(uint8_t pair)
{
    return (int32_t)(pair >> 4) - 8;
}

#define TINYLOC_PACKED_LINEAR(name, x_t, y_t)                                                                  \
    void name(TINYLOC_FLASH tinyloc_packed_linear *op, const x_t *x, y_t *y)                                   \
    {                                                                                                          \
        TINYLOC_FLASH uint8_t *weight = op->weight;                                                            \
        const uint16_t inputs = op->inputs, outputs = op->outputs;                                             \
        for (uint16_t o = 0; o < outputs; o++) {                                                               \
            int32_t sum = op->bias[o]; /* lowering proved that no input can make it overflow */                \
            const x_t *x_i = x;                                                                                \
            for (uint16_t pairs = inputs / 2; pairs != 0; pairs--, weight++, x_i += 2) {                       \
                sum += even(*weight) * x_i[0] + odd(*weight) * x_i[1];                                         \
            }                                                                                                  \
            if (inputs % 2 != 0) {                                                                             \
                sum += even(*weight++) * *x_i;                                                                 \
            }                                                                                                  \
            y[o] = (y_t)tinyloc_requantise_row(sum, op->multiplier[o], op->factor);                   \
        }                                                                                                      \
    }

TINYLOC_PACKED_LINEAR(tinyloc_packed_linear_8_16, int8_t, int16_t)
TINYLOC_PACKED_LINEAR(tinyloc_packed_linear_8_8, int8_t, int8_t)
TINYLOC_PACKED_LINEAR(tinyloc_packed_linear_16_16, int16_t, int16_t)
TINYLOC_PACKED_LINEAR(tinyloc_packed_linear_16_8, int16_t, int8_t)

void tinyloc_packed_embed_16(TINYLOC_FLASH tinyloc_packed_embed *op, int32_t *sums, const int8_t *x, int16_t *y)
{
    TINYLOC_FLASH uint8_t *weight = op->weight;
    const uint16_t inputs = op->inputs, outputs = op->outputs, bytes = (uint16_t)((outputs + 1U) / 2);
    for (uint16_t o = 0; o < outputs; o++) {
        sums[o] = op->bias[o]; /* lowering proved that no input can make it overflow, in any order */
    }
    for (uint16_t i = 0; i < inputs; i++, weight += bytes) {
        const int32_t signal = op->table[(int16_t)x[i] + 128];
        if (signal != 0) {
            TINYLOC_FLASH uint8_t *pair = weight;
            int32_t *sum = sums;
            for (uint16_t pairs = outputs / 2; pairs != 0; pairs--, pair++, sum += 2) {
                sum[0] += even(*pair) * signal;
                sum[1] += odd(*pair) * signal;
            }
            if (outputs % 2 != 0) {
                *sum += even(*pair) * signal;
            }
        }
    }
    for (uint16_t o = 0; o < outputs; o++) {
        y[o] = tinyloc_requantise_row(sums[o], op->multiplier[o], op->factor);
    }
}
