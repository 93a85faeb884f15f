#include "tinyloc_model.h"

#include <string.h>

static const int16_t weights[TINYLOC_ROOMS][TINYLOC_SAMPLE_BYTES] = {
    {311, -27, 4000, 5, -900},
    {-1200, 77, 13, 2047, 640},
    {9, 1500, -333, -1, 1024},
};

/* Not const: its initial value costs flash, itself RAM. */
static int32_t bias[TINYLOC_ROOMS] = {100, -200, 300};

void tinyloc_init(tinyloc_state *state)
{
    memset(state, 0, sizeof *state);
    memcpy(state->sums, bias, sizeof bias);
}

void tinyloc_restart(tinyloc_state *state)
{
    const uint32_t restarts = state->restarts + 1u;
    tinyloc_init(state);
    state->restarts = restarts;
}

static int16_t saturate(int32_t value)
{
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result)
{
    state->steps += 1u;
    result->room = 0;
    for (uint32_t k = 0; k < TINYLOC_ROOMS; ++k) {
        int32_t sum = state->sums[k] / 2; /* decays, rounding towards zero */
        for (uint32_t p = 0; p < TINYLOC_SAMPLE_BYTES; ++p) {
            sum += weights[k][p] * sample[p];
        }
        state->sums[k] = sum;
        state->energy += (int64_t)sum * sum;
        /* A 64-bit product, an arithmetic shift of it, and a division by a number known only when it runs. */
        const int32_t scaled = (int32_t)(((int64_t)sum * 1518500250 + (1 << 30)) >> 31);
        result->scores[k] = saturate(scaled / (int32_t)state->steps + (int32_t)(state->energy % (state->steps + 6)));
        if (result->scores[k] > result->scores[result->room]) {
            result->room = (uint8_t)k;
        }
    }
    result->settled = (uint8_t)(state->restarts % TINYLOC_ROOMS);
}
