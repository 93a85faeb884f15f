/* Fully connected. The widths differ, the arithmetic does not, so one body makes each pair of variants. */
#include "tinyloc_kernels.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

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
            y[o] = (y_t)tinyloc_requantise_row(sum, op->multiplier[o], op->factor);                            \
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

#if TINYLOC_MVE || !TINYLOC_DSP
/* One row; groups of four weights stand in the order 0, 2, 1, 3. */
static inline int32_t row(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t sum)
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
#endif

#if TINYLOC_MVE
/* Four rows at a time, so that inputs are loaded once for them: after the first four, those that make the rest a
   multiple of four are not made again. Fewer than four rows are made one by one. */
#define TINYLOC_LINEAR_16(name, y_t, store)                                                                    \
    void name(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, y_t *y)                                      \
    {                                                                                                          \
        const int8_t *weight = op->weight;                                                                     \
        const int32_t *bias = op->bias, *multiplier = op->multiplier;                                          \
        const uint32_t inputs = op->inputs, outputs = op->outputs;                                             \
        const tinyloc_factor by = op->factor;                                                                  \
        const y_t *end = y + outputs;                                                                          \
        if (outputs < 4) {                                                                                     \
            for (; y != end; weight += inputs) {                                                               \
                const int32_t sum = row(weight, x, (uint16_t)inputs, *bias++);                                 \
                *y++ = (y_t)tinyloc_requantise_row(sum, *multiplier++, by);                                    \
            }                                                                                                  \
        }                                                                                                      \
        for (uint32_t step = outputs % 4 != 0 ? outputs % 4 : 4; y != end; step = 4) {                         \
            int32x4_t sums = vldrwq_s32(bias);                                                                 \
            if (inputs >= 8) {                                                                                 \
                sums = vaddq_s32(sums, tinyloc_mve_eights(weight, x, inputs, inputs / 8));                     \
            }                                                                                                  \
            if (inputs % 8 != 0) {                                                                             \
                sums = vaddq_s32(sums, tinyloc_mve_rest(weight, x, inputs));                                   \
            }                                                                                                  \
            store(y, tinyloc_mve_requantise(sums, vldrwq_s32(multiplier), by));                                \
            weight += step * inputs;                                                                           \
            bias += step;                                                                                      \
            multiplier += step;                                                                                \
            y += step;                                                                                         \
        }                                                                                                      \
    }

TINYLOC_LINEAR_16(tinyloc_linear_16_16, int16_t, vstrhq_s32)
TINYLOC_LINEAR_16(tinyloc_linear_16_8, int8_t, vstrbq_s32)
#else
#if TINYLOC_DSP
/* Groups of four weights stand in the order 0, 2, 1, 3. The loops are written out: 14 instructions for 8 products
   of two rows, so that each pair of inputs is loaded once for both; sums go in and come out. */
static inline void two_rows(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t *sums)
{
    TINYLOC_FLASH int8_t *other = weight + inputs;
    int32_t first = sums[0], second = sums[1];
    uint32_t groups = inputs / 4U, w, v, low, high, pair;
    if (groups != 0) {
        __asm__("1: ldr %[w], [%[weight]], #4\n"
                "ldr %[v], [%[other]], #4\n"
                "ldr %[low], [%[x]], #4\n"
                "ldr %[high], [%[x]], #4\n"
                "subs %[groups], %[groups], #1\n"
                "sxtb16 %[pair], %[w]\n"
                "smlad %[first], %[pair], %[low], %[first]\n"
                "sxtb16 %[pair], %[v]\n"
                "smlad %[second], %[pair], %[low], %[second]\n"
                "sxtb16 %[w], %[w], ror #8\n"
                "smlad %[first], %[w], %[high], %[first]\n"
                "sxtb16 %[v], %[v], ror #8\n"
                "smlad %[second], %[v], %[high], %[second]\n"
                "bne 1b"
                : [weight] "+r"(weight), [other] "+r"(other), [x] "+r"(x), [groups] "+r"(groups),
                  [first] "+r"(first), [second] "+r"(second), [w] "=&r"(w), [v] "=&r"(v), [low] "=&r"(low),
                  [high] "=&r"(high), [pair] "=&r"(pair)
                :
                : "cc", "memory");
    }
    for (uint16_t rest = inputs % 4; rest != 0; rest--, x++) {
        first += (int32_t)*weight++ * *x;
        second += (int32_t)*other++ * *x;
    }
    sums[0] = first;
    sums[1] = second;
}

/* The last of an odd number of rows. */
static int32_t one_row(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t inputs, int32_t sum)
{
    for (uint16_t groups = inputs / 4; groups != 0; groups--, weight += 4, x += 4) {
        const uint32_t w = tinyloc_word(weight);
        sum = tinyloc_dot2(tinyloc_bytes_0_2(w), tinyloc_word(x), sum);
        sum = tinyloc_dot2(tinyloc_bytes_1_3(w), tinyloc_word(x + 2), sum);
    }
    return tail(weight, x, inputs % 4, sum);
}

#define TINYLOC_LINEAR_16(name, y_t)                                                                           \
    void name(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, y_t *y)                                      \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        TINYLOC_FLASH int32_t *bias = op->bias, *multiplier = op->multiplier;                                  \
        const uint16_t inputs = op->inputs;                                                                    \
        const tinyloc_factor by = op->factor;                                                                  \
        uint16_t pairs = op->outputs / 2;                                                                      \
        for (; pairs != 0; pairs--, weight += 2 * inputs, bias += 2, multiplier += 2, y += 2) {                \
            int32_t sums[2] = {bias[0], bias[1]};                                                              \
            two_rows(weight, x, inputs, sums);                                                                 \
            y[0] = (y_t)tinyloc_requantise_row(sums[0], multiplier[0], by);                                    \
            y[1] = (y_t)tinyloc_requantise_row(sums[1], multiplier[1], by);                                    \
        }                                                                                                      \
        if (op->outputs % 2 != 0) {                                                                            \
            *y = (y_t)tinyloc_requantise_row(one_row(weight, x, inputs, *bias), *multiplier, by);              \
        }                                                                                                      \
    }
#else
#define TINYLOC_LINEAR_16(name, y_t)                                                                           \
    void name(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, y_t *y)                                      \
    {                                                                                                          \
        TINYLOC_FLASH int8_t *weight = op->weight;                                                             \
        for (uint16_t o = 0; o < op->outputs; o++) {                                                           \
            const int32_t sum = row(weight, x, op->inputs, op->bias[o]);                                       \
            weight += op->inputs;                                                                              \
            y[o] = (y_t)tinyloc_requantise_row(sum, op->multiplier[o], op->factor);                            \
        }                                                                                                      \
    }
#endif

TINYLOC_LINEAR_16(tinyloc_linear_16_16, int16_t)
TINYLOC_LINEAR_16(tinyloc_linear_16_8, int8_t)
#endif
