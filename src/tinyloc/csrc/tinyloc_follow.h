/* Receivers that drift are followed. Same rules as in tinyloc_kernels.h. */
#ifndef TINYLOC_FOLLOW_H
#define TINYLOC_FOLLOW_H

#include "tinyloc_arithmetic.h"

/* means [rooms][points] dBm, -128 where a room has none; an error of 1 dB moves an offset by rate / 256 dB. */
typedef struct {
    TINYLOC_FLASH int8_t *means;
    uint16_t points;
    uint8_t rate;
} tinyloc_follow;

/* y = x without what each access point is off by; offset [points] in 1/256 dB lasts. */
void tinyloc_followed_8(TINYLOC_FLASH tinyloc_follow *op, const int16_t *offset, const int8_t *x, int8_t *y);

/* The answer `room` to a window whose newest sample is x moves the offsets. */
void tinyloc_follow_room(TINYLOC_FLASH tinyloc_follow *op, int16_t *offset, const int8_t *x, uint8_t room);

#endif
