/* From the scores of one window after the other to a room that does not flap. */
#include "tinyloc_settle.h"

#define TINYLOC_FLOOR (-32767L)

/* d moves on by one decision; where `before` is wanted it takes, for each room, the best room before it.
   Returns the room of the largest d, the first of equals. */
static uint8_t forward(TINYLOC_FLASH tinyloc_filter *op, int16_t *d, uint8_t *before, int32_t *next, const int16_t *x)
{
    const uint16_t rooms = op->rooms;
    uint8_t room = 0;
    for (uint16_t k = 0; k < rooms; k++) {
        int32_t best = op->start[k];
        if (d[rooms] != 0) {
            TINYLOC_FLASH int16_t *way = op->transitions + k;
            uint8_t from = 0;
            best = (int32_t)d[0] + *way;
            for (uint16_t j = 1; j < rooms; j++) {
                way += rooms;
                if ((int32_t)d[j] + *way > best) {
                    best = (int32_t)d[j] + *way;
                    from = (uint8_t)j;
                }
            }
            if (before) {
                before[k] = from;
            }
        }
        next[k] = best + tinyloc_requantise((int32_t)x[k] - op->offset[k], op->multiplier, op->shift, 32767);
        if (next[k] > next[room]) {
            room = (uint8_t)k;
        }
    }
    const int32_t largest = next[room];
    for (uint16_t k = 0; k < rooms; k++) {
        const int32_t behind = next[k] - largest;
        d[k] = (int16_t)(behind < TINYLOC_FLOOR ? TINYLOC_FLOOR : behind);
    }
    return room;
}

void tinyloc_filter_16(TINYLOC_FLASH tinyloc_filter *op, int16_t *d, int32_t *scratch, const int16_t *x, int16_t *y)
{
    y[0] = (int16_t)(forward(op, d, 0, scratch, x) + 1);
    d[op->rooms] = 1;
}

void tinyloc_fixed_lag_16(TINYLOC_FLASH tinyloc_filter *op, int16_t *d, int8_t *before, int32_t *scratch,
                          const int16_t *x, int16_t *y)
{
    const uint16_t rooms = op->rooms, lag = op->lag;
    uint8_t *const table = (uint8_t *)before;
    uint16_t known = (uint16_t)d[rooms], at = (uint16_t)d[rooms + 1]; /* decisions, at most lag + 1; a row */
    uint8_t room = forward(op, d, table + (uint32_t)at * rooms, scratch, x);
    if (known > 0) {
        at = (uint16_t)(at + 1U == lag ? 0U : at + 1U);
    }
    if (known <= lag) {
        known++;
    }
    d[rooms] = (int16_t)known;
    d[rooms + 1] = (int16_t)at;
    for (uint16_t step = 1; step < known; step++) {
        at = (uint16_t)(at == 0 ? lag - 1U : at - 1U);
        room = table[(uint32_t)at * rooms + room];
    }
    y[0] = (int16_t)(room + 1);
}
