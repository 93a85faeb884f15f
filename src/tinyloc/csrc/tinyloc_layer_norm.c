/* Layer normalisation: the mean off, then as root mean square normalisation, then a gain and a bias. */
#include "tinyloc_kernels.h"

void tinyloc_layer_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, const int16_t *x, int16_t *y)
{
    const uint16_t size = op->size;
    const int32_t half_gain = (int32_t)1 << (op->gain_shift - 1);
    for (uint16_t row = 0; row < op->rows; row++, x += size, y += size) {
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
            y[i] = tinyloc_clamp((normal * op->gain[i] + op->bias[i] + half_gain) >> op->gain_shift, op->limit);
        }
    }
}
