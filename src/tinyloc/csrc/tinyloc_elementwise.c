/* Operators that treat each element on its own: lookup, curve, multiply, add, standardise, and the choice of
   the room. */
#include "tinyloc_kernels.h"
#include "tinyloc_pairs.h"

int16_t tinyloc_shift_clamp(int64_t value, uint8_t shift, int16_t limit)
{
    const int64_t low = -(int64_t)limit, shifted = value >> shift;
    return (int16_t)(shifted > limit ? limit : shifted < low ? low : shifted);
}

#if TINYLOC_NARROW
/* The upper word of a * b, b never negative, by products of halves: none of the sums leaves its 32 bits. */
static inline int32_t upper(int32_t a, int32_t b)
{
#if TINYLOC_AVR
    return tinyloc_avr_upper(a, b);
#else
    const uint32_t a_low = (uint32_t)a & 0xFFFFU, b_low = (uint32_t)b & 0xFFFFU;
    const int32_t a_high = a >> 16, b_high = b >> 16;
    const uint32_t middle = a_low * (uint32_t)b_high + ((a_low * b_low) >> 16);
    const int32_t other = a_high * (int32_t)b_low + (int32_t)(middle & 0xFFFFU);
    return a_high * b_high + (int32_t)(middle >> 16) + (other >> 16);
#endif
}

int16_t tinyloc_requantise_upper(int32_t value, int32_t multiplier, uint8_t shift, int16_t limit)
{
    int32_t shifted = upper(value, multiplier);
    if (shift >= 8) { /* a byte costs an 8-bit machine as little as a bit */
        shifted >>= 8;
        shift = (uint8_t)(shift - 8);
    }
    return tinyloc_clamp(((shifted >> shift) + 1) >> 1, limit);
}
#endif

int16_t tinyloc_requantise_wide(int32_t value, int32_t multiplier, uint8_t shift, int16_t limit)
{
    return tinyloc_shift_clamp((int64_t)value * multiplier + ((int64_t)1 << (shift - 1)), shift, limit);
}

#define TINYLOC_LOOKUP(name, y_t)                                                                              \
    void name(TINYLOC_FLASH y_t *table, uint16_t size, const int8_t *x, y_t *y)                                \
    {                                                                                                          \
        for (uint16_t i = 0; i < size; i++) {                                                                  \
            y[i] = table[(int16_t)x[i] + 128];                                                                 \
        }                                                                                                      \
    }

TINYLOC_LOOKUP(tinyloc_lookup_8, int8_t)
TINYLOC_LOOKUP(tinyloc_lookup_16, int16_t)

#define TINYLOC_FILL(name, y_t)                                                                                \
    void name(y_t fill, uint16_t size, const int8_t *x, y_t *y)                                                \
    {                                                                                                          \
        for (uint16_t i = 0; i < size; i++) {                                                                  \
            y[i] = x[i] == -128 ? fill : x[i];                                                                 \
        }                                                                                                      \
    }

TINYLOC_FILL(tinyloc_fill_8, int8_t)
TINYLOC_FILL(tinyloc_fill_16, int16_t)

void tinyloc_curve(TINYLOC_FLASH int16_t *table, uint16_t size, const int16_t *x, int16_t *y)
{
    for (const int16_t *end = y + size; y != end;) {
        const int32_t value = *x++;
        TINYLOC_FLASH int16_t *point = table + ((value >> 8) + 128);
        const int32_t rest = value & 255;
#if TINYLOC_DSP
        /* point[0] * (256 - rest) + point[1] * rest: the same sum */
        *y++ = (int16_t)(tinyloc_dot2(tinyloc_word(point), (uint32_t)(rest * 65535 + 256), 128) >> 8);
#else
        const int32_t rise = (int32_t)point[1] - point[0];
        *y++ = (int16_t)(point[0] + ((rise * rest + 128) >> 8));
#endif
    }
}

void tinyloc_relu(uint16_t size, const int16_t *x, int16_t *y)
{
    for (uint16_t i = 0; i < size; i++) {
        y[i] = (int16_t)(x[i] < 0 ? 0 : x[i]);
    }
}

#define TINYLOC_MULTIPLY(name, narrow_t)                                                                       \
    void name(TINYLOC_FLASH tinyloc_multiply *op, uint16_t size, const int16_t *a, const narrow_t *b,          \
              narrow_t *y)                                                                                     \
    {                                                                                                          \
        const tinyloc_factor by = op->factor;                                                                  \
        const int32_t multiplier = op->multiplier;                                                             \
        for (const narrow_t *end = y + size; y != end;) {                                                      \
            *y++ = (narrow_t)tinyloc_requantise_row((int32_t)*a++ * *b++, multiplier, by);                     \
        }                                                                                                      \
    }

TINYLOC_MULTIPLY(tinyloc_multiply_16_16, int16_t)
TINYLOC_MULTIPLY(tinyloc_multiply_8_8, int8_t)

void tinyloc_add_16(TINYLOC_FLASH tinyloc_add *op, uint16_t size, const int16_t *a, const int16_t *b, int16_t *y)
{
    const tinyloc_factor by = op->factor;
    const int32_t lift = (int32_t)1 << by.lift, a_multiplier = op->a_multiplier, b_multiplier = op->b_multiplier;
    for (const int16_t *end = y + size; y != end;) {
        const int64_t first = (int64_t)(*a++ * lift) * a_multiplier;
        *y++ = tinyloc_upper_row(first + (int64_t)(*b++ * lift) * b_multiplier, by);
    }
}

#if TINYLOC_DSP
void tinyloc_rows_add_16(TINYLOC_FLASH tinyloc_add *op, uint16_t size, const int16_t *a, const int16_t *b,
                         int16_t *y)
{
    const tinyloc_factor by = op->factor;
    const int32_t m = op->a_multiplier, n = op->b_multiplier;
    const tinyloc_range held = tinyloc_range_of((int16_t)-by.limit, by.limit);
    const int64_t half = (int64_t)1 << (by.shift + 31);
    for (const int16_t *end = a + size; a != end; a += 2, b += 2, y += 2) {
        const uint32_t p = tinyloc_word(a), q = tinyloc_word(b);
        int64_t first = half + (int64_t)(int32_t)((uint32_t)(int32_t)(int16_t)p << by.lift) * m;
        int64_t second = half + (int64_t)(int32_t)((uint32_t)((int32_t)p >> 16) << by.lift) * m;
        first += (int64_t)(int32_t)((uint32_t)(int32_t)(int16_t)q << by.lift) * n;
        second += (int64_t)(int32_t)((uint32_t)((int32_t)q >> 16) << by.lift) * n;
        tinyloc_store(y, tinyloc_shifted_pair((int32_t)(first >> 32), (int32_t)(second >> 32), by.shift, held));
    }
}
#else
void tinyloc_rows_add_16(TINYLOC_FLASH tinyloc_add *op, uint16_t size, const int16_t *a, const int16_t *b,
                         int16_t *y)
{
    tinyloc_add_16(op, size, a, b, y);
}
#endif

void tinyloc_standardise_16(TINYLOC_FLASH tinyloc_standardise *op, const int16_t *x, int16_t *y)
{
    for (uint16_t i = 0; i < op->size; i++) {
        const int32_t centred = (int32_t)x[i] - op->offset[i];
        y[i] = tinyloc_requantise_row(centred, op->multiplier[i], op->factor);
    }
}

uint8_t tinyloc_highest(const int16_t *scores, uint8_t size)
{
    uint8_t best = 0;
    for (uint8_t i = 1; i < size; i++) {
        if (scores[i] > scores[best]) {
            best = i;
        }
    }
    return best;
}
