/* The decision layer: it holds a room until the evidence moves it. Same rules as in tinyloc_kernels.h. */
#ifndef TINYLOC_SETTLE_H
#define TINYLOC_SETTLE_H

#include "tinyloc_arithmetic.h"

/* transitions [rooms][rooms] from, to; evidence = requantise(x - offset, multiplier, shift). */
typedef struct {
    TINYLOC_FLASH int16_t *transitions;
    TINYLOC_FLASH int16_t *start;
    TINYLOC_FLASH int16_t *offset;
    int32_t multiplier;
    uint16_t rooms;
    uint8_t shift, lag;
} tinyloc_filter;

/* The best path's room, from the past alone. d [rooms + 2] lasts; scratch holds 4 bytes for each room.
   y[0] = 1 + the room. */
void tinyloc_filter_16(TINYLOC_FLASH tinyloc_filter *op, int16_t *d, int32_t *scratch, const int16_t *x, int16_t *y);

/* The room `lag` decisions ago on the best path known now; before [lag][rooms] lasts too. */
void tinyloc_fixed_lag_16(TINYLOC_FLASH tinyloc_filter *op, int16_t *d, int8_t *before, int32_t *scratch,
                          const int16_t *x, int16_t *y);

#endif
