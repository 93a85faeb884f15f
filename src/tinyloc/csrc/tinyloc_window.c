/* Rows of a window: collecting them, and what treats each element or each row on its own. */
#include "tinyloc_window.h"
#include "tinyloc_pairs.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

#define TINYLOC_COLLECT(name, value_t)                                                                         \
    void name(value_t *rows, uint16_t at, uint16_t size, const value_t *x)                                     \
    {                                                                                                          \
        value_t *row = rows + (uint32_t)at * size;                                                             \
        for (uint16_t i = 0; i < size; i++) {                                                                  \
            row[i] = x[i];                                                                                     \
        }                                                                                                      \
    }

TINYLOC_COLLECT(tinyloc_collect_16, int16_t)
TINYLOC_COLLECT(tinyloc_collect_8, int8_t)

void tinyloc_position(TINYLOC_FLASH int16_t *table, uint16_t count, int16_t limit, const int16_t *x, int16_t *y)
{
    for (uint16_t i = 0; i < count; i++) {
        y[i] = tinyloc_clamp((int32_t)x[i] + table[i], limit);
    }
}

void tinyloc_mean_rows(uint16_t rows, uint16_t size, int32_t multiplier, uint8_t shift, int16_t limit,
                       const int16_t *x, int16_t *y)
{
    for (uint16_t i = 0; i < size; i++) {
        int32_t sum = 0;
        for (uint16_t row = 0; row < rows; row++) {
            sum += x[(uint32_t)row * size + i];
        }
        y[i] = tinyloc_requantise(sum, multiplier, shift, limit);
    }
}

#if TINYLOC_DSP
void tinyloc_rows_position(TINYLOC_FLASH int16_t *table, uint16_t count, int16_t limit, const int16_t *x, int16_t *y)
{
    const tinyloc_range range = tinyloc_range_of((int16_t)-limit, limit);
    for (const int16_t *end = x + count; x != end; x += 2, table += 2, y += 2) {
        tinyloc_store(y, tinyloc_hold(tinyloc_sums(tinyloc_word(x), tinyloc_word(table)), range.low, range.high));
    }
}

void tinyloc_rows_mean(uint16_t rows, uint16_t size, int32_t multiplier, uint8_t shift, int16_t limit,
                       const int16_t *x, int16_t *y)
{
    const tinyloc_range range = tinyloc_range_of((int16_t)-limit, limit);
    for (const int16_t *end = x + size; x != end; x += 2, y += 2) {
        int32_t sums[2] = {0, 0};
        const int16_t *at = x;
        for (uint16_t left = rows; left != 0; left--, at += size) {
            const uint32_t pair = tinyloc_word(at);
            sums[0] += (int16_t)pair;
            sums[1] += (int32_t)pair >> 16;
        }
        tinyloc_store(y, tinyloc_rescale_pair(sums, multiplier, multiplier, shift - 32U, range));
    }
}
#else
void tinyloc_rows_position(TINYLOC_FLASH int16_t *table, uint16_t count, int16_t limit, const int16_t *x, int16_t *y)
{
    tinyloc_position(table, count, limit, x, y);
}

void tinyloc_rows_mean(uint16_t rows, uint16_t size, int32_t multiplier, uint8_t shift, int16_t limit,
                       const int16_t *x, int16_t *y)
{
    tinyloc_mean_rows(rows, size, multiplier, shift, limit, x, y);
}
#endif

void tinyloc_last_row(uint16_t rows, uint16_t size, const int16_t *x, int16_t *y)
{
    const int16_t *last = x + (uint32_t)(rows - 1) * size;
    for (uint16_t i = 0; i < size; i++) {
        y[i] = last[i];
    }
}

/* The taps of a row of y that lie inside the window: neighbours in memory, so that they make one dot product. */
typedef struct {
    TINYLOC_FLASH int8_t *weight;
    const int16_t *x;
    uint32_t count;
} tinyloc_seen;

static inline tinyloc_seen seen(TINYLOC_FLASH tinyloc_rows_conv *op, int32_t oldest, const int16_t *x)
{
    const int32_t inputs = op->inputs, first = oldest < 0 ? -oldest : 0;
    const int32_t beyond = oldest + op->taps - op->x_rows;
    const int32_t there = op->taps - first - (beyond > 0 ? beyond : 0);
    const tinyloc_seen found = {op->weight + first * inputs, x + (oldest + first) * inputs, (uint32_t)(there * inputs)};
    return found;
}

void tinyloc_conv_rows_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y)
{
    int32_t oldest = (int32_t)first_row * op->stride - op->past;
    for (; rows != 0; rows--, oldest += op->stride) {
        const tinyloc_seen part = seen(op, oldest, x);
        TINYLOC_FLASH int8_t *weight = part.weight;
        for (uint16_t o = 0; o < op->outputs; o++, weight += (uint32_t)op->taps * op->inputs) {
            int32_t sum = op->bias[o];
            for (uint32_t i = 0; i < part.count; i++) {
                sum += (int32_t)weight[i] * part.x[i];
            }
            *y++ = tinyloc_requantise_row(sum, op->multiplier[o], op->factor);
        }
    }
}

#if TINYLOC_MVE
void tinyloc_rows_conv_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y)
{
    const uint32_t outputs = op->outputs, stride = (uint32_t)op->taps * op->inputs, shift = op->factor.shift;
    int32_t oldest = (int32_t)first_row * op->stride - op->past;
    for (; rows != 0; rows--, oldest += op->stride) {
        const tinyloc_seen part = seen(op, oldest, x);
        const int8_t *weight = part.weight;
        const int32_t *bias = op->bias, *multiplier = op->multiplier;
        for (const int16_t *end = y + outputs; y != end; weight += 4 * stride, bias += 4, multiplier += 4, y += 4) {
            const int32x4_t sums = tinyloc_mve_dots_8(weight, part.x, stride, part.count);
            const int32x4_t all = vaddq_s32(sums, vldrwq_s32(bias)), m = vldrwq_s32(multiplier);
            vstrhq_s32(y, tinyloc_mve_rescale(all, m, shift, -(int32_t)op->factor.limit, op->factor.limit));
        }
    }
}
#elif TINYLOC_DSP
/* count / 4 turns of two rows of weights, which stand as they are in the graph: 16 instructions for 8 products. */
static inline void two_filters(const int8_t *weight, const int16_t *x, uint32_t stride, uint32_t count, int32_t *sums)
{
    const int8_t *other = weight + stride;
    const int16_t *end = x + count;
    int32_t first = sums[0], second = sums[1];
    uint32_t w, v, low, high, even;
    __asm__("1: ldr %[low], [%[x]], #4\n"
            "ldr %[high], [%[x]], #4\n"
            "ldr %[w], [%[weight]], #4\n"
            "ldr %[v], [%[other]], #4\n"
            "pkhbt %[even], %[low], %[high], lsl #16\n"
            "pkhtb %[high], %[high], %[low], asr #16\n"
            "sxtb16 %[low], %[w]\n"
            "smlad %[first], %[low], %[even], %[first]\n"
            "sxtb16 %[low], %[v]\n"
            "smlad %[second], %[low], %[even], %[second]\n"
            "sxtb16 %[w], %[w], ror #8\n"
            "smlad %[first], %[w], %[high], %[first]\n"
            "sxtb16 %[v], %[v], ror #8\n"
            "smlad %[second], %[v], %[high], %[second]\n"
            "cmp %[x], %[end]\n"
            "bne 1b"
            : [weight] "+r"(weight), [other] "+r"(other), [x] "+r"(x), [first] "+r"(first), [second] "+r"(second),
              [w] "=&r"(w), [v] "=&r"(v), [low] "=&r"(low), [high] "=&r"(high), [even] "=&r"(even)
            : [end] "r"(end)
            : "cc", "memory");
    sums[0] = first;
    sums[1] = second;
}

void tinyloc_rows_conv_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y)
{
    const uint32_t stride = (uint32_t)op->taps * op->inputs;
    const tinyloc_range range = tinyloc_range_of((int16_t)-op->factor.limit, op->factor.limit);
    int32_t oldest = (int32_t)first_row * op->stride - op->past;
    for (; rows != 0; rows--, oldest += op->stride) {
        const tinyloc_seen part = seen(op, oldest, x);
        const int8_t *weight = part.weight;
        const int32_t *bias = op->bias, *multiplier = op->multiplier;
        for (const int16_t *end = y + op->outputs; y != end; weight += 2 * stride, bias += 2, multiplier += 2, y += 2) {
            int32_t sums[2] = {bias[0], bias[1]};
            two_filters(weight, part.x, stride, part.count, sums);
            tinyloc_store(y, tinyloc_rescale_pair(sums, multiplier[0], multiplier[1], op->factor.shift, range));
        }
    }
}
#else
void tinyloc_rows_conv_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y)
{
    tinyloc_conv_rows_16(op, first_row, rows, x, y);
}
#endif

void tinyloc_interleave(uint16_t rows, uint16_t size, const int16_t *a, const int16_t *b, const int16_t *c,
                        int16_t *y)
{
    for (uint16_t row = 0; row < rows; row++) {
        for (uint8_t part = 0; part < 3; part++) {
            const int16_t *from = (part == 0 ? a : part == 1 ? b : c) + (uint32_t)row * size;
            for (uint16_t i = 0; i < size; i++) {
                *y++ = from[i];
            }
        }
    }
}
