/* Scaled dot-product attention in integers: scores, a softmax by powers of two, a weighted sum of the values. */
#include "tinyloc_kernels.h"
#include "tinyloc_pairs.h"
#include "tinyloc_window.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

/* r (Q15) and e with 1/total = r * 2^-15 * 2^-e. total 2^14..2^30. */
static int32_t reciprocal(uint32_t total, uint8_t *e)
{
#if TINYLOC_DSP
    const uint8_t length = (uint8_t)(31 - __builtin_clz(total));
#else
    uint8_t length = 14;
    while (total >> length > 1) {
        length++;
    }
#endif
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

void tinyloc_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                          const int16_t *k, const int16_t *v, int16_t *y)
{
    const uint16_t size = op->size, others = op->others;
    const uint16_t width = (uint16_t)(size / op->heads); /* once a window */
    for (; rows != 0; rows--) {
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

#if TINYLOC_MVE
/* Scores of a row of q with all of k, four at a time, into p; the largest of them. */
static int32_t scores(const int16_t *q, const int16_t *k, uint32_t size, uint32_t others, uint16_t width, int32_t *p)
{
    int32_t largest = INT32_MIN;
    const int32_t *end = p + others;
    if (others < 4) {
        for (; p != end; p++, k += size) {
            *p = dot(q, k, width);
            largest = *p > largest ? *p : largest;
        }
    }
    for (uint32_t step = others % 4 != 0 ? others % 4 : 4; p != end; step = 4) { /* as in tinyloc_linear_16_16 */
        const int32x4_t four = tinyloc_mve_dots_16(k, q, size, width);
        largest = vmaxvq_s32(largest, four);
        vstrwq_s32(p, four);
        k += step * size;
        p += step;
    }
    return largest;
}

/* Scores in, shares out as int16, at the head of the same memory. One share is beyond int16: 32769, where all of the
   weight is on one of the others. Then the result is 1 more than its index, else 0. What is made for the lanes behind
   the last of the others is never read: the scratch has room for it. */
static uint32_t shares(TINYLOC_FLASH tinyloc_attention *op, int32_t *p, int32_t largest)
{
    const int32_t others = op->others;
    const uint32x4_t most = vdupq_n_u32((uint32_t)largest), multiplier = vdupq_n_u32((uint32_t)op->score_multiplier);
    uint32_t total = 0;
    for (int32_t j = 0; j < others; j += 4) {
        const uint32x4_t behind = vsubq_u32(most, vreinterpretq_u32_s32(vldrwq_s32(p + j)));
        const uint32x4_t upper = vshlq_r_u32(vmulhq_u32(behind, multiplier), 32 - (int32_t)op->score_shift);
        const uint32x4_t e = tinyloc_mve_power(vminq_u32(upper, vdupq_n_u32(0xFFFFF)));
        vstrwq_s32(p + j, vreinterpretq_s32_u32(e));
        total = vaddvaq_p_u32(total, e, vctp32q((uint32_t)(others - j)));
    }
    uint8_t e;
    const int32_t r = reciprocal(total, &e);
    int16_t *narrow = (int16_t *)p;
    for (int32_t j = 0; j < others; j += 4) {
        vstrhq_s32(narrow + j, vrshlq_n_s32(vmulq_n_s32(vldrwq_s32(p + j), r), -(int32_t)e));
    }
    uint32_t hot = 0;
    if (total == 32767) {
        while (narrow[hot++] == 0) {
        }
    }
    return hot;
}

/* Four neighbouring columns of v, each times the shares, summed: first and third are the places of the first and third
   column's numbers in eight rows, which take `bytes`. 11 instructions for 32 products. */
static inline int32x4_t four_columns(const int16_t *p, const int16_t *v, uint32_t bytes, uint32_t others,
                                     uint16x8_t first, uint16x8_t third)
{
    int32_t a = 0, b = 0, c = 0, d = 0;
    __asm__("dlstp.16 lr, %[others]\n"
            "1: vldrh.u16 q0, [%[p]], #16\n"
            "vldrh.u16 q1, [%[v], %q[first], uxtw #1]\n"
            "vmladava.s16 %[a], q0, q1\n"
            "vldrh.u16 q2, [%[v], %q[second], uxtw #1]\n"
            "vmladava.s16 %[b], q0, q2\n"
            "vldrh.u16 q1, [%[v], %q[third], uxtw #1]\n"
            "vmladava.s16 %[c], q0, q1\n"
            "vldrh.u16 q2, [%[v], %q[fourth], uxtw #1]\n"
            "vmladava.s16 %[d], q0, q2\n"
            "add %[v], %[v], %[bytes]\n"
            "letp lr, 1b"
            : [p] "+r"(p), [v] "+r"(v), [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d)
            : [others] "r"(others), [bytes] "r"(bytes), [first] "w"(first), [second] "w"(vaddq_n_u16(first, 1)),
              [third] "w"(third), [fourth] "w"(vaddq_n_u16(third, 1))
            : "lr", "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5");
    return tinyloc_mve_four(a, b, c, d);
}

void tinyloc_rows_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                               const int16_t *k, const int16_t *v, int16_t *y)
{
    const uint32_t size = op->size, others = op->others, shift = op->y_shift - 32U;
    const uint16_t width = (uint16_t)(size / op->heads); /* once a call */
    /* a head of two columns makes them twice, and the lanes behind them are not stored */
    const mve_pred16_t there = vctp32q(width);
    const uint16x8_t first = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)size);
    const uint16x8_t third = vaddq_n_u16(first, width > 2 ? 2 : 0);
    const int32x4_t multiplier = vdupq_n_s32(op->y_multiplier);
    const int16_t *p = (const int16_t *)scratch;
    for (const int16_t *last = q + rows * size; q != last; q += size) {
        const int16_t *value = v;
        for (uint32_t at = 0; at < size; at += width) {
            const uint32_t hot = shares(op, scratch, scores(q + at, k + at, size, others, width, scratch));
            const int16_t *end = value + width;
            for (uint32_t step = width % 4 != 0 ? width % 4U : 4; value != end; step = 4) {
                int32x4_t sums = four_columns(p, value, 16 * size, others, first, third);
                if (hot != 0) { /* the share 32769 was read as -32767 */
                    sums = vaddq_s32(sums, vshlq_n_s32(vldrhq_z_s32(value + (hot - 1) * size, there), 16));
                }
                sums = tinyloc_mve_rescale(sums, multiplier, shift, -(int32_t)op->limit, op->limit);
                vstrhq_p_s32(y, sums, there);
                value += step;
                y += step;
            }
        }
    }
}
#elif TINYLOC_DSP
/* Scores of two rows of q with two of k: scores[0], scores[1] of the first, others[0], others[1] of the second. */
static inline void four_scores(const int16_t *a, const int16_t *z, const int16_t *b, const int16_t *y,
                               uint16_t width, int32_t *first, int32_t *second)
{
    int32_t ab = 0, ay = 0, zb = 0, zy = 0;
    for (const int16_t *end = a + width; a != end; a += 2, z += 2, b += 2, y += 2) {
        const uint32_t left = tinyloc_word(b), right = tinyloc_word(y);
        uint32_t row = tinyloc_word(a);
        ab = tinyloc_dot2(row, left, ab);
        ay = tinyloc_dot2(row, right, ay);
        row = tinyloc_word(z);
        zb = tinyloc_dot2(row, left, zb);
        zy = tinyloc_dot2(row, right, zy);
    }
    first[0] = ab, first[1] = ay, second[0] = zb, second[1] = zy;
}

/* As softmax, but the shares are left as pairs of int16, two to a word. One share is beyond int16: 32769, where all
   of the weight is on one of the others. Then the result is 1 more than its index, else 0. */
static uint16_t shares(TINYLOC_FLASH tinyloc_attention *op, int32_t *p)
{
    const uint16_t others = op->others;
    int32_t largest = p[0];
    uint16_t best = 0;
    for (uint16_t j = 1; j < others; j++) {
        if (p[j] > largest) {
            largest = p[j];
            best = j;
        }
    }
    uint32_t total = 0;
    for (uint16_t j = 0; j < others; j++) {
        const uint32_t behind = (uint32_t)largest - (uint32_t)p[j];
        const uint32_t upper = (uint32_t)(((uint64_t)behind * (uint32_t)op->score_multiplier) >> 32);
        p[j] = tinyloc_power((int32_t)(upper >> (op->score_shift - 32)));
        total += (uint32_t)p[j];
    }
    uint8_t e;
    const int32_t r = reciprocal(total, &e);
    const int32_t half = (int32_t)1 << (e - 1);
    if (others % 2 != 0) {
        p[others] = 0;
    }
    for (uint16_t j = 0; j < others; j = (uint16_t)(j + 2)) {
        p[j / 2] = (int32_t)tinyloc_halves((uint32_t)(p[j] * r + half) >> e, (uint32_t)(p[j + 1] * r + half) >> e);
    }
    return total == 32767 ? (uint16_t)(best + 1) : 0;
}

/* sums[row][column] of two rows of shares and two neighbouring columns of v. */
static inline void four_values(const int32_t *first, const int32_t *second, const int16_t *v, uint16_t others,
                               uint16_t size, int32_t sums[2][2])
{
    int32_t a = 0, b = 0, c = 0, d = 0;
    for (uint16_t left = others; left != 0;) {
        const uint32_t here = tinyloc_word(v), next = tinyloc_word(left > 1 ? v + size : v);
        const uint32_t low = tinyloc_halves(here, next), high = tinyloc_highs(here, next);
        uint32_t p = (uint32_t)*first++;
        a = tinyloc_dot2(p, low, a);
        b = tinyloc_dot2(p, high, b);
        p = (uint32_t)*second++;
        c = tinyloc_dot2(p, low, c);
        d = tinyloc_dot2(p, high, d);
        v += 2 * size;
        left = (uint16_t)(left > 1 ? left - 2 : 0);
    }
    sums[0][0] = a, sums[0][1] = b, sums[1][0] = c, sums[1][1] = d;
}

/* The share 32769 was read as -32767: what is missing. */
static void mend(int32_t *sums, uint16_t hot, const int16_t *v, uint16_t size)
{
    if (hot != 0) {
        v += (uint32_t)(hot - 1) * size;
        sums[0] += v[0] * 65536;
        sums[1] += v[1] * 65536;
    }
}

void tinyloc_rows_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                               const int16_t *k, const int16_t *v, int16_t *y)
{
    const uint16_t size = op->size, others = op->others;
    const uint16_t width = (uint16_t)(size / op->heads); /* once a call */
    const tinyloc_range range = tinyloc_range_of((int16_t)-op->limit, op->limit);
    int32_t *second = scratch + others + others % 2;
    while (rows != 0) {
        const uint16_t below = rows > 1 ? size : 0; /* a last row alone is done twice */
        for (uint16_t at = 0; at < size;) {
            const int16_t *key = k + at;
            for (uint16_t j = 0; j < others; j = (uint16_t)(j + 2), key += 2 * size) {
                four_scores(q + at, q + below + at, key, j + 1 < others ? key + size : key, width, scratch + j,
                            second + j);
            }
            const uint16_t hot = shares(op, scratch), hot_too = shares(op, second);
            for (const uint16_t end = (uint16_t)(at + width); at != end; at = (uint16_t)(at + 2)) {
                int32_t sums[2][2];
                four_values(scratch, second, v + at, others, size, sums);
                mend(sums[0], hot, v + at, size);
                mend(sums[1], hot_too, v + at, size);
                const int32_t m = op->y_multiplier;
                const uint32_t s = op->y_shift - 32U;
                tinyloc_store(y + at, tinyloc_rescale_pair(sums[0], m, m, s, range));
                tinyloc_store(y + below + at, tinyloc_rescale_pair(sums[1], m, m, s, range));
            }
        }
        q += 2 * size;
        y += 2 * size;
        rows = (uint16_t)(rows > 1 ? rows - 2 : 0);
    }
}
#else
void tinyloc_rows_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                               const int16_t *k, const int16_t *v, int16_t *y)
{
    tinyloc_attention_16(op, scratch, rows, q, k, v, y);
}
#endif
