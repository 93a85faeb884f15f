/* The selective scan of Mamba, one step: per channel and state one exponential, one state update, one read. */
#include "tinyloc_kernels.h"

/* One state: h is read and written; the product of h and c is added to the sum. */
static inline int32_t one_state(int32_t exponent, int16_t *h, int32_t in, int32_t c, int32_t read)
{
    const int32_t next = tinyloc_clamp16((*h * tinyloc_power(exponent) + (in + 16384)) >> 15);
    *h = (int16_t)next;
    return read + next * c;
}

#if TINYLOC_DSP
/* tinyloc_power with its result in the upper half: from 15 digits on nothing is left. */
static inline uint32_t factor(uint32_t exponent)
{
    const uint32_t entry = tinyloc_exp2_table[(exponent >> 10) & 63U];
    const uint32_t fall = (uint32_t)tinyloc_mul_low(entry, exponent & 1023U);
    uint32_t whole;
    __asm__("usat %0, #4, %1, asr #16" : "=r"(whole) : "r"(exponent));
    return (entry - (fall << 6)) >> whole;
}

/* (in + kept * factor) >> 15 held within int16; the halves that the name says. */
static inline uint32_t held(int32_t sum)
{
    uint32_t result;
    __asm__("ssat %0, #16, %1, asr #15" : "=r"(result) : "r"(sum));
    return result;
}
#endif

/* All states of one channel; two at a time where one instruction multiplies halves of words. */
static inline int32_t channel_states(TINYLOC_FLASH int16_t *decay, uint8_t decay_shift, int16_t *h,
                                     const int16_t *b, const int16_t *c, uint16_t states, int32_t step, int32_t u)
{
    int32_t read = 0;
    const int16_t *const end = b + states;
#if TINYLOC_DSP
    const int32_t scaled = step << (16 - decay_shift); /* less 16 bits of a product are then decay_shift */
    for (const int16_t *last = b + (states & ~1U); b != last; b += 2, c += 2, h += 2, decay += 2) {
        const uint32_t rates = tinyloc_word(decay);
        const uint32_t keep = factor(tinyloc_scale_low(scaled, rates));
        const uint32_t keep_next = factor(tinyloc_scale_high(scaled, rates));
        const uint32_t kept = tinyloc_word(h), in = tinyloc_word(b);
        const uint32_t low = held(tinyloc_add_low_high(kept, keep, tinyloc_add_low_low((uint32_t)u, in, 16384)));
        const uint32_t high = held(tinyloc_add_high_high(kept, keep_next, tinyloc_add_low_high((uint32_t)u, in, 16384)));
        uint32_t next;
        __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(next) : "r"(low), "r"(high));
        __builtin_memcpy(h, &next, 4);
        read = tinyloc_dot2(next, tinyloc_word(c), read);
    }
#endif
#if TINYLOC_AVR
    for (; b != end; b++, c++, h++, decay++) {
        const int16_t keep = tinyloc_avr_keep((int16_t)step, *decay, decay_shift);
        const int32_t in = tinyloc_avr_product((int16_t)u, *b) + 16384;
        *h = tinyloc_avr_held(tinyloc_avr_product(*h, keep) + in);
        read += tinyloc_avr_product(*h, *c);
    }
#endif
    for (; b != end; b++, c++, h++, decay++) {
        read = one_state((step * *decay) >> decay_shift, h, u * *b, *c, read);
    }
    return read;
}

#define TINYLOC_SCAN(name, x_t)                                                                                \
    void name(TINYLOC_FLASH tinyloc_scan *op, int16_t *h, const int16_t *dt, const int16_t *b,                 \
              const int16_t *c, const x_t *x, int16_t *y)                                                      \
    {                                                                                                          \
        TINYLOC_FLASH int16_t *decay = op->decay;                                                              \
        const uint16_t states = op->states, channels = op->channels;                                           \
        for (uint16_t channel = 0; channel < channels; channel++, decay += states, h += states) {              \
            const int32_t step = dt[channel], input = x[channel];                                              \
            const int32_t u = tinyloc_requantise(step * input, op->u_multiplier, op->u_shift, 32767);          \
            const int32_t read = channel_states(decay, op->decay_shift, h, b, c, states, step, u);             \
            const int64_t through = (int64_t)(input * ((int32_t)1 << op->skip_shift)) * op->skip[channel];     \
            const int64_t sum = (int64_t)read * op->y_multiplier + through;                                    \
            const int64_t half = (int64_t)1 << (op->y_shift - 1);                                              \
            /* lowering proved that this fits 32 bits */                                                       \
            y[channel] = tinyloc_clamp((int32_t)((sum + half) >> op->y_shift), op->limit);                     \
        }                                                                                                      \
    }

TINYLOC_SCAN(tinyloc_scan_16, int16_t)
TINYLOC_SCAN(tinyloc_scan_8, int8_t)
