/* What an answer may hold beside the scores. Same rules as in tinyloc_kernels.h. */
#ifndef TINYLOC_ANSWER_H
#define TINYLOC_ANSWER_H

#include "tinyloc_arithmetic.h"

/* multiplier * 2^-shift: what one unit of the scores is worth in 2^-16 of a binary digit. shift 0..62. */
typedef struct {
    int32_t multiplier;
    uint16_t rooms;
    uint8_t shift;
} tinyloc_probability;

/* centre [rooms][points] dBm; what is weaker than floor counts as floor. threshold 0..32766, smoothing 0..8. */
typedef struct {
    TINYLOC_FLASH int8_t *centre;
    uint16_t rooms, points;
    int16_t threshold;
    int8_t floor;
    uint8_t smoothing;
} tinyloc_novelty;

/* y[k] = softmax of x in bytes, rounded to nearest. x, y [rooms]. */
void tinyloc_probability_16(TINYLOC_FLASH tinyloc_probability *op, const int16_t *x, uint8_t *y);

/* y = 1 where the smoothed distance of x [points] from the nearest room is above the threshold. level lasts:
   0 before the first sample. */
void tinyloc_novelty_8(TINYLOC_FLASH tinyloc_novelty *op, int16_t *level, const int8_t *x, uint8_t *y);

#endif
