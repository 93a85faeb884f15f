/* A toy that stands in for a model: a little of everything a compiler can do with integers. */
#ifndef TINYLOC_MODEL_H
#define TINYLOC_MODEL_H

#include <stdint.h>

#define TINYLOC_SAMPLE_BYTES 5
#define TINYLOC_ROOMS 3
#define TINYLOC_WINDOW_STEPS 4

typedef struct {
    int32_t sums[TINYLOC_ROOMS];
    int64_t energy;
    uint32_t steps;
    uint32_t restarts; /* what a new window does not forget */
} tinyloc_state;

typedef struct {
    int16_t scores[TINYLOC_ROOMS];
    uint8_t room;
    uint8_t settled;
} tinyloc_result;

void tinyloc_init(tinyloc_state *state);
void tinyloc_restart(tinyloc_state *state);
void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result);

#endif
