/* Layer normalisation: the mean off, then as root mean square normalisation, then a gain and a bias. */
#include "tinyloc_kernels.h"
#include "tinyloc_pairs.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

void tinyloc_layer_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y)
{
    const uint16_t size = op->size;
    for (; rows != 0; rows--, x += size, y += size) {
        int32_t sum = 0;
        for (uint16_t i = 0; i < size; i++) {
            sum += x[i];
        }
        const int32_t mean = tinyloc_requantise(sum, op->mean_multiplier, op->mean_shift, 32767);
        uint64_t total = op->epsilon;
        for (uint16_t i = 0; i < size; i++) {
            const int32_t d = x[i] - mean;
            total += (uint64_t)((int64_t)d * d);
        }
        uint8_t e;
        const int32_t root = tinyloc_inverse_root(total, &e);
        const uint8_t shift = (uint8_t)(e + op->shift);
        const int64_t half = (int64_t)(((uint64_t)1 << shift) >> 1);
        for (uint16_t i = 0; i < size; i++) {
            const int32_t d = x[i] - mean;
            const int32_t normal = tinyloc_shift_clamp((int64_t)d * root + half, shift, 32767);
            y[i] = tinyloc_clamp((normal * op->gain[i] + op->bias[i]) >> op->gain_shift, op->limit);
        }
    }
}

#if TINYLOC_MVE
/* y of a row, four elements a turn; behind the end lanes take no part. |x - mean| times root stays within 32 bits. */
static inline void normalise(TINYLOC_FLASH tinyloc_layer_norm *op, const int16_t *x, int32_t mean, int32_t root,
                             int32_t shift, int16_t *y)
{
    const int16_t *gain = op->gain;
    const int32_t *bias = op->bias;
    for (int32_t left = op->size; left > 0; left -= 4, x += 4, y += 4, gain += 4, bias += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)left);
        const int32x4_t d = vsubq_n_s32(vldrhq_z_s32(x, there), mean);
        const int32x4_t normal = tinyloc_mve_hold(vrshlq_n_s32(vmulq_n_s32(d, root), -shift), -32767, 32767);
        const int32x4_t scaled = vaddq_s32(vmulq_s32(normal, vldrhq_z_s32(gain, there)), vldrwq_z_s32(bias, there));
        const int32x4_t shifted = vshlq_r_s32(scaled, -(int32_t)op->gain_shift);
        vstrhq_p_s32(y, tinyloc_mve_hold(shifted, -(int32_t)op->limit, op->limit), there);
    }
}

void tinyloc_rows_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y)
{
    const uint16_t size = op->size;
    for (; rows != 0; rows--, x += size, y += size) {
        int32_t sum = 0;
        uint64_t total = op->epsilon + tinyloc_mve_moments(x, size, &sum);
        const int32_t mean = tinyloc_requantise(sum, op->mean_multiplier, op->mean_shift, 32767);
        total += (uint64_t)((int64_t)mean * (mean * size - 2 * sum)); /* as below */
        uint8_t e;
        const int32_t root = tinyloc_inverse_root(total, &e);
        normalise(op, x, mean, root, e + op->shift, y);
    }
}
#elif TINYLOC_DSP
void tinyloc_rows_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y)
{
    const uint16_t size = op->size;
    const tinyloc_range held = tinyloc_range_of((int16_t)-op->limit, op->limit);
    for (; rows != 0; rows--) {
        int32_t sum = 0;
        uint64_t total = op->epsilon;
        const int16_t *end = x + size;
        for (const int16_t *at = x; at != end; at += 2) {
            const uint32_t pair = tinyloc_word(at);
            sum = tinyloc_dot2(pair, 0x00010001U, sum);
            total = tinyloc_squares(pair, total);
        }
        const int32_t mean = tinyloc_requantise(sum, op->mean_multiplier, op->mean_shift, 32767);
        /* sum of (x - mean)^2 = sum of x^2 - 2 mean sum of x + size mean^2, all of it exact */
        total += (uint64_t)((int64_t)mean * (mean * size - 2 * sum));
        uint8_t e;
        int32_t root = tinyloc_inverse_root(total, &e);
        /* (d * root + 2^(shift - 1)) >> shift, shift 0..40, is the rounded upper word of (d << left) * (root << 14),
           or of d * (root << less): |d| < 2^(shift + 3) sees to it that nothing is lost, and beyond 32 only 0 is left */
        int32_t shift = e + op->shift;
        if (shift < 1) {
            shift = 1; /* nothing to round: twice, then half of it */
            root *= 2;
        }
        shift = shift > 32 ? 32 : shift;
        const uint32_t left = shift < 18 ? 18U - (uint32_t)shift : 0;
        root <<= shift < 18 ? 14 : 32 - shift;
        TINYLOC_FLASH int16_t *gain = op->gain;
        TINYLOC_FLASH int32_t *bias = op->bias;
        for (; x != end; x += 2, y += 2, gain += 2, bias += 2) {
            const uint32_t pair = tinyloc_word(x), gains = tinyloc_word(gain);
            const int32_t first = (int32_t)((uint32_t)((int16_t)pair - mean) << left);
            const int32_t second = (int32_t)((uint32_t)(((int32_t)pair >> 16) - mean) << left);
            uint32_t normal = tinyloc_halves(tinyloc_saturate(tinyloc_upper_rounded(first, root)),
                                           tinyloc_saturate(tinyloc_upper_rounded(second, root)));
            normal = tinyloc_at_least(normal, 0x80018001U);
            const int32_t a = tinyloc_add_low_low(normal, gains, bias[0]);
            const int32_t b = tinyloc_add_high_high(normal, gains, bias[1]);
            tinyloc_store(y, tinyloc_shifted_pair(a, b, op->gain_shift, held));
        }
    }
}
#else
void tinyloc_rows_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y)
{
    tinyloc_layer_norm_16(op, rows, x, y);
}
#endif
