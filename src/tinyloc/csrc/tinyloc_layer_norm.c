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
/* y of a row, four elements a turn of 15 instructions; behind the end lanes take no part. |x - mean| times root stays
   within 32 bits, and vrshl rounds as if its sum had more of them. */
static inline void normalise(TINYLOC_FLASH tinyloc_layer_norm *op, const int16_t *x, int32_t mean, int32_t root,
                             int32_t shift, int16_t *y)
{
    const int16_t *gain = op->gain;
    const int32_t *bias = op->bias;
    const int32_t limit = op->limit;
    __asm__ volatile("dlstp.32 lr, %[size]\n"
                     "1: vldrh.s32 q0, [%[x]], #8\n"
                     "vsub.i32 q0, q0, %[mean]\n"
                     "vmul.i32 q0, q0, %[root]\n"
                     "vrshl.s32 q0, %[shift]\n"
                     "vmin.s32 q0, q0, %q[most]\n"
                     "vmax.s32 q0, q0, %q[least]\n"
                     "vldrh.s32 q1, [%[gain]], #8\n"
                     "vmul.i32 q0, q0, q1\n"
                     "vldrw.u32 q1, [%[bias]], #16\n"
                     "vadd.i32 q0, q0, q1\n"
                     "vshl.s32 q0, %[gain_shift]\n"
                     "vmin.s32 q0, q0, %q[high]\n"
                     "vmax.s32 q0, q0, %q[low]\n"
                     "vstrh.32 q0, [%[y]], #8\n"
                     "letp lr, 1b"
                     : [x] "+l"(x), [gain] "+l"(gain), [y] "+l"(y), [bias] "+r"(bias)
                     : [size] "r"(op->size), [mean] "r"(mean), [root] "r"(root), [shift] "r"(-shift),
                       [gain_shift] "r"(-(int32_t)op->gain_shift), [most] "w"(vdupq_n_s32(32767)),
                       [least] "w"(vdupq_n_s32(-32767)), [high] "w"(vdupq_n_s32(limit)), [low] "w"(vdupq_n_s32(-limit))
                     : "lr", "cc", "memory", "d0", "d1", "d2", "d3");
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
