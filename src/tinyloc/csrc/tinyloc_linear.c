/* Fully connected. The widths differ, the arithmetic does not, so one body makes each pair of variants. */
#include "tinyloc_kernels.h"

#define TINYLOC_LINEAR_8(name, y_t)                                                                            \
    void name(TINYLOC_FLASH tinyloc_linear *op, const int8_t *x, y_t *y)                                       \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        const uint16_t inputs = op->inputs, outputs = op->outputs;                                             \
        for (uint16_t o = 0; o < outputs; o++) {                                                               \
            int32_t sum = op->bias[o]; /* lowering proved that no input can make it overflow */                \
            for (const int8_t *x_i = x, *end = x + inputs; x_i != end;) {                                      \
                sum += (int32_t)*weight++ * *x_i++;                                                            \
            }                                                                                                  \
            y[o] = (y_t)tinyloc_requantise(sum, op->multiplier[o], op->shift[o], op->limit);                   \
        }                                                                                                      \
    }

TINYLOC_LINEAR_8(tinyloc_linear_8_16, int16_t)
TINYLOC_LINEAR_8(tinyloc_linear_8_8, int8_t)

#if !TINYLOC_AVR
/* The last inputs % 4 products of a row, in their own order. */
static inline int32_t tail(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t count, int32_t sum)
{
    for (uint16_t i = 0; i < count; i++) {
        sum += (int32_t)weight[i] * x[i];
    }
    return sum;
}
#endif

/* One row; groups of four weights stand in the order 0, 2, 1, 3. */
static int32_t row(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t sum)
{
#if TINYLOC_AVR
    return tinyloc_avr_dot(weight, x, inputs / 4, inputs % 4, sum);
#else
    for (uint16_t group = inputs / 4; group != 0; group--, weight += 4, x += 4) {
        sum += (int32_t)weight[0] * x[0] + (int32_t)weight[2] * x[1];
        sum += (int32_t)weight[1] * x[2] + (int32_t)weight[3] * x[3];
    }
    return tail(weight, x, inputs % 4, sum);
#endif
}

#if TINYLOC_DSP
/* Two rows at a time, so that each pair of inputs is loaded once for both; sums[0..1] go in and come out. */
static inline void two_rows(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t *sums)
{
    TINYLOC_FLASH int8_t *other = weight + inputs;
    int32_t first = sums[0], second = sums[1];
    for (TINYLOC_FLASH int8_t *end = weight + (inputs & ~3U); weight != end; weight += 4, other += 4, x += 4) {
        const uint32_t w = tinyloc_word(weight), v = tinyloc_word(other);
        const uint32_t low = tinyloc_word(x), high = tinyloc_word(x + 2);
        first = tinyloc_dot2(tinyloc_bytes_0_2(w), low, first);
        second = tinyloc_dot2(tinyloc_bytes_0_2(v), low, second);
        first = tinyloc_dot2(tinyloc_bytes_1_3(w), high, first);
        second = tinyloc_dot2(tinyloc_bytes_1_3(v), high, second);
    }
    sums[0] = tail(weight, x, inputs % 4, first);
    sums[1] = tail(other, x, inputs % 4, second);
}
#else
static inline void two_rows(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t *sums)
{
    sums[0] = row(weight, x, inputs, sums[0]);
    sums[1] = row(weight + inputs, x, inputs, sums[1]);
}
#endif

#define TINYLOC_LINEAR_16(name, y_t)                                                                           \
    void name(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, y_t *y)                                      \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        const uint16_t inputs = op->inputs, outputs = op->outputs;                                             \
        const int16_t limit = op->limit;                                                                       \
        uint16_t o = 0;                                                                                        \
        for (; o + 1 < outputs; o = (uint16_t)(o + 2), weight += 2 * inputs) {                                 \
            int32_t sums[2] = {op->bias[o], op->bias[o + 1]};                                                  \
            two_rows(weight, x, inputs, sums);                                                                 \
            y[o] = (y_t)tinyloc_requantise(sums[0], op->multiplier[o], op->shift[o], limit);                   \
            y[o + 1] = (y_t)tinyloc_requantise(sums[1], op->multiplier[o + 1], op->shift[o + 1], limit);       \
        }                                                                                                      \
        if (o < outputs) {                                                                                     \
            const int32_t sum = row(weight, x, inputs, op->bias[o]);                                           \
            y[o] = (y_t)tinyloc_requantise(sum, op->multiplier[o], op->shift[o], limit);                       \
        }                                                                                                      \
    }

TINYLOC_LINEAR_16(tinyloc_linear_16_16, int16_t)
TINYLOC_LINEAR_16(tinyloc_linear_16_8, int8_t)
