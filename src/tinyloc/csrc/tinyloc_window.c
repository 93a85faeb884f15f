/* Rows of a window: collecting them, and what treats each element or each row on its own. */
#include "tinyloc_window.h"
#include "tinyloc_pairs.h"

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

void tinyloc_rows_conv_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y)
{
    const uint16_t inputs = op->inputs, taps = op->taps;
    int32_t oldest = (int32_t)first_row * op->stride - op->past;
    for (; rows != 0; rows--, oldest += op->stride) {
        /* the taps that lie inside the window are neighbours in memory, so they make one dot product */
        const int32_t first = oldest < 0 ? -oldest : 0;
        const int32_t beyond = oldest + taps - op->x_rows;
        const int32_t count = (taps - first - (beyond > 0 ? beyond : 0)) * inputs;
        const int16_t *seen = x + (oldest + first) * inputs;
        TINYLOC_FLASH int8_t *weight = op->weight + first * inputs;
        for (uint16_t o = 0; o < op->outputs; o++, weight += (uint32_t)taps * inputs) {
            int32_t sum = op->bias[o];
            for (int32_t i = 0; i < count; i++) {
                sum += (int32_t)weight[i] * seen[i];
            }
            *y++ = tinyloc_requantise_row(sum, op->multiplier[o], op->factor);
        }
    }
}

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

void tinyloc_standardise_16(TINYLOC_FLASH tinyloc_standardise *op, const int16_t *x, int16_t *y)
{
    for (uint16_t i = 0; i < op->size; i++) {
        const int32_t centred = (int32_t)x[i] - op->offset[i];
        y[i] = tinyloc_requantise_row(centred, op->multiplier[i], op->factor);
    }
}
