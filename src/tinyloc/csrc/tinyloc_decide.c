/* From a window to its scores: Viterbi over rooms, and window statistics. */
#include "tinyloc_window.h"

static void take_off_largest(int32_t *d, uint16_t rooms)
{
    int32_t largest = d[0];
    for (uint16_t k = 1; k < rooms; k++) {
        if (d[k] > largest) {
            largest = d[k];
        }
    }
    for (uint16_t k = 0; k < rooms; k++) {
        d[k] -= largest;
    }
}

void tinyloc_viterbi_16(TINYLOC_FLASH tinyloc_viterbi *op, int32_t *scratch, const int16_t *x, int16_t *y)
{
    const uint16_t rooms = op->rooms;
    int32_t *d = scratch, *next = scratch + rooms;
    for (uint16_t k = 0; k < rooms; k++) {
        d[k] = (int32_t)op->start[k] + x[k];
    }
    take_off_largest(d, rooms);
    for (uint16_t row = 1; row < op->rows; row++) {
        x += rooms;
        for (uint16_t k = 0; k < rooms; k++) {
            TINYLOC_FLASH int16_t *way = op->transitions + k;
            int32_t best = d[0] + way[0];
            for (uint16_t j = 1; j < rooms; j++) {
                way += rooms;
                if (d[j] + *way > best) {
                    best = d[j] + *way;
                }
            }
            next[k] = best + x[k];
        }
        take_off_largest(next, rooms);
        int32_t *const before = d;
        d = next;
        next = before;
    }
    for (uint16_t k = 0; k < rooms; k++) {
        d[k] += op->end[k];
    }
    take_off_largest(d, rooms);
    for (uint16_t k = 0; k < rooms; k++) {
        y[k] = tinyloc_clamp(d[k], op->limit);
    }
}

/* The largest integer whose square is at most value (below 2^48): one bit after the other. */
static uint32_t integer_root(uint64_t value)
{
    uint32_t root = 0;
    for (uint32_t bit = (uint32_t)1 << 23; bit != 0; bit >>= 1) {
        const uint32_t larger = root | bit;
        if ((uint64_t)larger * larger <= value) {
            root = larger;
        }
    }
    return root;
}

/* floor(value / rows) for value below 2^24 and the reciprocal that divided() made. */
static uint32_t divided(uint32_t value, uint64_t reciprocal)
{
    return (uint32_t)((value * reciprocal) >> 34);
}

void tinyloc_statistics(uint16_t rows, uint16_t points, const int8_t *x, int16_t *y)
{
    /* ceil(2^34 / rows), bit by bit: the only quotient, and it needs no division instruction */
    uint64_t reciprocal = 0;
    for (uint64_t bit = (uint64_t)1 << 34; bit != 0; bit >>= 1) {
        if ((reciprocal | bit) * rows < ((uint64_t)1 << 34) + rows) {
            reciprocal |= bit;
        }
    }
    for (uint16_t p = 0; p < points; p++) {
        int32_t sum = 0, squares = 0, largest = -128, smallest = 127, heard = 0, value = 0;
        for (uint16_t row = 0; row < rows; row++) {
            const int32_t sample = x[(uint32_t)row * points + p];
            heard += sample != -128;
            value = sample == -128 ? -120 : sample;
            sum += value;
            squares += value * value;
            largest = value > largest ? value : largest;
            smallest = value < smallest ? value : smallest;
        }
        /* floor(v * f / rows + 1/2) = floor((2 v f + rows) / (2 rows)); twice the divisor is one shift more */
        const uint32_t lifted = (uint32_t)(sum + 128 * (int32_t)rows); /* 0..255 rows */
        const uint32_t mean = divided(lifted * 256U + rows, reciprocal) >> 1;
        const uint64_t spread = (uint64_t)((int64_t)rows * squares - (int64_t)sum * sum);
        int16_t *out = y + p;
        out[0] = (int16_t)((int32_t)mean - 16384);
        out[points] = (int16_t)(largest * 128);
        out[2 * points] = (int16_t)(smallest * 128);
        out[3 * points] = (int16_t)divided(integer_root(spread << 14), reciprocal);
        out[4 * points] = (int16_t)(divided((uint32_t)heard * 32768U + rows, reciprocal) >> 1);
        out[5 * points] = (int16_t)(value * 128);
    }
}
