/* The first layer, straight from the sample: no copy of the signal is kept, and what was not heard costs nothing. */
#include "tinyloc_kernels.h"

void tinyloc_embed_16(TINYLOC_FLASH tinyloc_embed *op, int32_t *sums, const int8_t *x, int16_t *y)
{
    TINYLOC_FLASH int8_t *weight = op->weight;
    const uint16_t inputs = op->inputs, outputs = op->outputs;
    for (uint16_t o = 0; o < outputs; o++) {
        sums[o] = op->bias[o]; /* lowering proved that no input can make it overflow, in any order */
    }
    for (uint16_t i = 0; i < inputs; i++, weight += outputs) {
        const int32_t signal = op->table[(int16_t)x[i] + 128];
        if (signal != 0) {
            for (uint16_t o = 0; o < outputs; o++) {
                sums[o] += weight[o] * signal;
            }
        }
    }
    for (uint16_t o = 0; o < outputs; o++) {
        y[o] = tinyloc_requantise_row(sums[o], op->multiplier[o], op->factor);
    }
}
