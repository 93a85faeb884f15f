/* Fully connected, over rows. With the DSP extension two rows of inputs meet two rows of weights at a time, so
   that every word that is loaded or unpacked serves two products. */
#include "tinyloc_pairs.h"
#include "tinyloc_window.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

/* One output; groups of four weights stand in the order 0, 2, 1, 3. */
static int16_t one(TINYLOC_FLASH tinyloc_rows_linear *op, uint16_t o, const int16_t *x)
{
    TINYLOC_FLASH int8_t *weight = op->weight + (uint32_t)o * op->inputs;
    int32_t sum = op->bias[o]; /* lowering proved that no input can make it overflow, in any order */
#if TINYLOC_AVR
    sum = tinyloc_avr_dot(weight, x, op->inputs / 4, 0, sum);
#else
    for (uint16_t group = op->inputs / 4; group != 0; group--, weight += 4, x += 4) {
        sum += (int32_t)weight[0] * x[0] + (int32_t)weight[2] * x[1];
        sum += (int32_t)weight[1] * x[2] + (int32_t)weight[3] * x[3];
    }
#endif
    const int16_t y = tinyloc_requantise_row(sum, op->multiplier[o], op->factor);
    return (int16_t)(y < op->low ? op->low : y);
}

#if TINYLOC_DSP && !TINYLOC_MVE
/* sums[row of x][row of weights] += their product over so many inputs: two rows of each, one behind the other.
   Returns the end of the first row of weights. */
static inline TINYLOC_FLASH int8_t *four(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint32_t inputs, int32_t sums[2][2])
{
    TINYLOC_FLASH int8_t *end = weight + inputs;
    int32_t a = sums[0][0], b = sums[0][1], c = sums[1][0], d = sums[1][1];
    uint32_t w, v, first, second, two;
    /* by hand, because every register is taken: whatever a compiler spilled would be loaded in each turn */
#define TINYLOC_FOUR_INPUTS                                                                                    \
    "ldr %[v], [%[weight], %[inputs]]\n\tldr %[w], [%[weight]], #4\n\t"                                       \
    "ldr %[second], [%[x], %[inputs], lsl #1]\n\tldr %[first], [%[x]], #4\n\t"                                \
    "sxtb16 %[two], %[w]\n\tsmlad %[a], %[two], %[first], %[a]\n\tsmlad %[c], %[two], %[second], %[c]\n\t"    \
    "sxtb16 %[two], %[v]\n\tsmlad %[b], %[two], %[first], %[b]\n\tsmlad %[d], %[two], %[second], %[d]\n\t"    \
    "ldr %[second], [%[x], %[inputs], lsl #1]\n\tldr %[first], [%[x]], #4\n\t"                                \
    "sxtb16 %[w], %[w], ror #8\n\tsmlad %[a], %[w], %[first], %[a]\n\tsmlad %[c], %[w], %[second], %[c]\n\t"  \
    "sxtb16 %[v], %[v], ror #8\n\tsmlad %[b], %[v], %[first], %[b]\n\tsmlad %[d], %[v], %[second], %[d]\n\t"
    __asm__ volatile("1:\n\t" TINYLOC_FOUR_INPUTS TINYLOC_FOUR_INPUTS "cmp %[weight], %[end]\n\tbne 1b"
                     : [weight] "+r"(weight), [x] "+r"(x), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d),
                       [w] "=&r"(w), [v] "=&r"(v), [first] "=&r"(first), [second] "=&r"(second), [two] "=&r"(two)
                     : [inputs] "r"(inputs), [end] "r"(end)
                     : "cc", "memory");
    sums[0][0] = a, sums[0][1] = b, sums[1][0] = c, sums[1][1] = d;
    return weight;
}
#endif

void tinyloc_rows_linear_16(TINYLOC_FLASH tinyloc_rows_linear *op, uint16_t rows, const int16_t *x, int16_t *y)
{
    const uint16_t inputs = op->inputs, outputs = op->outputs;
#if TINYLOC_MVE
    /* as tinyloc_linear_16_16 */
    const uint32_t shift = op->factor.shift;
    for (; outputs >= 4 && rows != 0; rows--, x += inputs) {
        const int8_t *weight = op->weight;
        const int32_t *bias = op->bias, *multiplier = op->multiplier;
        const int16_t *end = y + outputs;
        for (uint32_t step = outputs % 4 != 0 ? outputs % 4U : 4; y != end; step = 4) {
            const int32x4_t sums = vaddq_s32(tinyloc_mve_eights(weight, x, inputs, inputs / 8), vldrwq_s32(bias));
            vstrhq_s32(y, tinyloc_mve_rescale(sums, vldrwq_s32(multiplier), shift, op->low, op->factor.limit));
            weight += step * inputs;
            bias += step;
            multiplier += step;
            y += step;
        }
    }
#elif TINYLOC_DSP
    const uint32_t shift = op->factor.shift;
    const tinyloc_range range = tinyloc_range_of(op->low, op->factor.limit);
    for (; rows > 1; rows = (uint16_t)(rows - 2), x += 2 * inputs, y += outputs) {
        TINYLOC_FLASH int8_t *weight = op->weight;
        TINYLOC_FLASH int32_t *bias = op->bias, *multiplier = op->multiplier;
        for (uint16_t pairs = outputs / 2; pairs != 0; pairs--, bias += 2, multiplier += 2, y += 2) {
            int32_t sums[2][2] = {{bias[0], bias[1]}, {bias[0], bias[1]}};
            weight = four(weight, x, inputs, sums) + inputs;
            tinyloc_store(y, tinyloc_rescale_pair(sums[0], multiplier[0], multiplier[1], shift, range));
            tinyloc_store(y + outputs, tinyloc_rescale_pair(sums[1], multiplier[0], multiplier[1], shift, range));
        }
        if (outputs % 2 != 0) {
            y[outputs] = one(op, (uint16_t)(outputs - 1), x + inputs);
            *y++ = one(op, (uint16_t)(outputs - 1), x);
        }
    }
#endif
    for (; rows != 0; rows--, x += inputs) {
        for (uint16_t o = 0; o < outputs; o++) {
            *y++ = one(op, o, x);
        }
    }
}
