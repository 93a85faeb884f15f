/* Scaled dot-product attention in integers: scores, a softmax by powers of two, a weighted sum of the values. */
#include "tinyloc_window.h"
#include "tinyloc_kernels.h"

/* r (Q15) and e with 1/total = r * 2^-15 * 2^-e. total 2^14..2^30. */
static int32_t reciprocal(uint32_t total, uint8_t *e)
{
    uint8_t length = 14;
    while (total >> length > 1) {
        length++;
    }
    const uint32_t mantissa = length <= 16 ? total << (16 - length) : total >> (length - 16);
    TINYLOC_FLASH uint16_t *point = tinyloc_reciprocal_table + ((mantissa >> 10) - 64U);
    const uint32_t rest = mantissa & 1023U;
    const uint32_t fall = (uint32_t)point[0] - point[1];
    *e = length;
    return (int32_t)(point[0] - ((fall * rest + 512U) >> 10));
}

static int32_t dot(const int16_t *a, const int16_t *b, uint16_t count)
{
    int32_t sum = 0;
    for (uint16_t i = 0; i < count; i++) {
        sum += (int32_t)a[i] * b[i];
    }
    return sum;
}

/* Scores in, shares of 2^15 out. */
static void softmax(TINYLOC_FLASH tinyloc_attention *op, int32_t *p)
{
    const uint16_t others = op->others;
    int32_t largest = p[0];
    for (uint16_t j = 1; j < others; j++) {
        if (p[j] > largest) {
            largest = p[j];
        }
    }
    uint32_t total = 0;
    for (uint16_t j = 0; j < others; j++) {
        const uint64_t behind = (uint64_t)((int64_t)largest - p[j]);
        const uint64_t exponent = (behind * (uint32_t)op->score_multiplier) >> op->score_shift;
        p[j] = tinyloc_power(exponent > 0xFFFFFU ? 0xFFFFF : (int32_t)exponent);
        total += (uint32_t)p[j];
    }
    uint8_t e;
    const int32_t r = reciprocal(total, &e);
    const int32_t half = (int32_t)1 << (e - 1);
    for (uint16_t j = 0; j < others; j++) {
        p[j] = (p[j] * r + half) >> e;
    }
}

void tinyloc_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, const int16_t *q, const int16_t *k,
                          const int16_t *v, int16_t *y)
{
    const uint16_t size = op->size, others = op->others;
    const uint16_t width = (uint16_t)(size / op->heads); /* once a window */
    for (uint16_t row = 0; row < op->rows; row++) {
        for (uint16_t at = 0; at < size; at = (uint16_t)(at + width)) {
            for (uint16_t j = 0; j < others; j++) {
                scratch[j] = dot(q + at, k + (uint32_t)j * size + at, width);
            }
            softmax(op, scratch);
            for (uint16_t i = 0; i < width; i++) {
                int32_t sum = 0;
                const int16_t *value = v + at + i;
                for (uint16_t j = 0; j < others; j++, value += size) {
                    sum += scratch[j] * *value;
                }
                y[at + i] = tinyloc_requantise(sum, op->y_multiplier, op->y_shift, op->limit);
            }
        }
        q += size;
        y += size;
    }
}
