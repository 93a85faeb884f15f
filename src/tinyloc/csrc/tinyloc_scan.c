/* The selective scan of Mamba, one step: per channel and state one exponential, one state update, one read. */
#include "tinyloc_kernels.h"
#if TINYLOC_MVE
#include "tinyloc_mve.h"
#endif

#if TINYLOC_DSP && !TINYLOC_MVE
/* tinyloc_power with its result in the upper half: from 15 digits on nothing is left. */
static inline uint32_t keep(uint32_t exponent)
{
    const uint32_t entry = tinyloc_exp2_table[(exponent >> 10) & 63U];
    const uint32_t fall = (uint32_t)tinyloc_mul_low(entry, exponent & 1023U);
    uint32_t whole;
    __asm__("usat %0, #4, %1, asr #16" : "=r"(whole) : "r"(exponent));
    return (entry - (fall << 6)) >> whole;
}

static inline uint32_t held(int32_t sum)
{
    uint32_t result;
    __asm__("ssat %0, #16, %1, asr #15" : "=r"(result) : "r"(sum));
    return result;
}

/* Two states: two rates, two of b, two of h; returns both h. scaled: dt * 2^(16 - decay_shift), so that the upper
   part of its product with a rate is the exponent. */
static inline uint32_t two_states(int32_t scaled, uint32_t rates, uint32_t u, uint32_t b, uint32_t h)
{
    const uint32_t low = keep(tinyloc_scale_low(scaled, rates)), high = keep(tinyloc_scale_high(scaled, rates));
    const int32_t first = tinyloc_add_low_high(h, low, tinyloc_add_low_low(u, b, 16384));
    const int32_t second = tinyloc_add_high_high(h, high, tinyloc_add_low_high(u, b, 16384));
    return tinyloc_halves(held(first), held(second));
}
#endif

/* All states of one channel: h is read and written, its products with c are summed. */
static inline int32_t states_one_by_one(TINYLOC_FLASH int16_t *decay, uint8_t decay_shift, int16_t *h, const int16_t *b,
                                        const int16_t *c, uint16_t states, int32_t step, int32_t u)
{
    int32_t read = 0;
    for (const int16_t *end = b + states; b != end; b++, c++, h++, decay++) {
#if TINYLOC_AVR
        const int16_t factor = tinyloc_avr_keep((int16_t)step, *decay, decay_shift);
        const int32_t in = tinyloc_avr_product((int16_t)u, *b) + 16384;
        *h = tinyloc_avr_held(tinyloc_avr_product(*h, factor) + in);
        read += tinyloc_avr_product(*h, *c);
#else
        const int32_t factor = tinyloc_power((step * *decay) >> decay_shift);
        const int32_t next = tinyloc_clamp16((*h * factor + (u * *b + 16384)) >> 15);
        *h = (int16_t)next;
        read += next * *c;
#endif
    }
    return read;
}

#if TINYLOC_MVE
/* Four at a time; in the last turn lanes behind the end take no part. */
static inline int32_t states_at_once(const int16_t *decay, uint8_t decay_shift, int16_t *h, const int16_t *b,
                                     const int16_t *c, uint16_t states, int32_t step, int32_t u)
{
    int32_t read = 0;
    for (const int16_t *end = b + (states & ~3U); b != end; b += 4, c += 4, h += 4, decay += 4) {
        const int32x4_t rates = vldrhq_s32(decay);
        const int32x4_t next = tinyloc_mve_states(step, decay_shift, rates, vldrhq_s32(h), vldrhq_s32(b), u);
        vstrhq_s32(h, next);
        read = vmladavaq_s32(read, next, vldrhq_s32(c));
    }
    if ((states & 3U) != 0) {
        const mve_pred16_t there = vctp32q(states & 3U);
        const int32x4_t rates = vldrhq_z_s32(decay, there), in = vldrhq_z_s32(b, there);
        const int32x4_t next = tinyloc_mve_states(step, decay_shift, rates, vldrhq_z_s32(h, there), in, u);
        vstrhq_p_s32(h, next, there);
        read = vmladavaq_p_s32(read, next, vldrhq_z_s32(c, there), there);
    }
    return read;
}
#elif TINYLOC_DSP
static inline int32_t states_at_once(TINYLOC_FLASH int16_t *decay, uint8_t decay_shift, int16_t *h, const int16_t *b,
                                     const int16_t *c, uint16_t states, int32_t step, int32_t u)
{
    int32_t read = 0;
    const int32_t scaled = step << (16 - decay_shift);
    for (const int16_t *end = b + states; b != end; b += 2, c += 2, h += 2, decay += 2) {
        const uint32_t next = two_states(scaled, tinyloc_word(decay), (uint32_t)u, tinyloc_word(b), tinyloc_word(h));
        __builtin_memcpy(h, &next, 4);
        read = tinyloc_dot2(next, tinyloc_word(c), read);
    }
    return read;
}
#else
#define states_at_once states_one_by_one
#endif

#define TINYLOC_SCAN(name, x_t, channel_states)                                                                \
    void name(TINYLOC_FLASH tinyloc_scan *op, int16_t *h, const int16_t *dt, const int16_t *b,                 \
              const int16_t *c, const x_t *x, int16_t *y)                                                      \
    {                                                                                                          \
        TINYLOC_FLASH int16_t *decay = op->decay;                                                              \
        TINYLOC_FLASH int32_t *skip = op->skip;                                                                \
        const uint16_t states = op->states;                                                                    \
        const uint8_t decay_shift = op->decay_shift;                                                           \
        const tinyloc_factor u_by = op->u, y_by = op->y;                                                       \
        for (const int16_t *last = y + op->channels; y != last; decay += states, h += states) {                \
            const int32_t step = *dt++, input = *x++;                                                          \
            const int32_t u = tinyloc_requantise_row(step * input, op->u_multiplier, u_by);                    \
            const int32_t read = channel_states(decay, decay_shift, h, b, c, states, step, u);                 \
            const int64_t through = (int64_t)(input * ((int32_t)1 << y_by.lift)) * *skip++;                    \
            *y++ = tinyloc_upper_row((int64_t)read * op->y_multiplier + through, y_by);                        \
        }                                                                                                      \
    }

TINYLOC_SCAN(tinyloc_scan_16, int16_t, states_at_once)
TINYLOC_SCAN(tinyloc_scan_8, int8_t, states_at_once)
TINYLOC_SCAN(tinyloc_scan_odd_16, int16_t, states_one_by_one)
TINYLOC_SCAN(tinyloc_scan_odd_8, int8_t, states_one_by_one)
