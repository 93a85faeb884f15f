/* What a receiver is off by, learned from the model's own answers. */
#include "tinyloc_follow.h"

#define NOT_HEARD (-128)
#define MOST_OFF 7680 /* 30 dB */

static int8_t followed(int8_t x, int16_t offset)
{
    if (x == NOT_HEARD) {
        return NOT_HEARD;
    }
    const int16_t y = (int16_t)(x + ((offset + 128) >> 8));
    return (int8_t)(y < -127 ? -127 : y > 127 ? 127 : y);
}

void tinyloc_followed_8(TINYLOC_FLASH tinyloc_follow *op, const int16_t *offset, const int8_t *x, int8_t *y)
{
    const uint16_t points = op->points;
    for (uint16_t p = 0; p < points; p++) {
        y[p] = followed(x[p], offset[p]);
    }
}

void tinyloc_follow_room(TINYLOC_FLASH tinyloc_follow *op, int16_t *offset, const int8_t *x, uint8_t room)
{
    const uint16_t points = op->points;
    TINYLOC_FLASH int8_t *mean = op->means + (uint32_t)room * points;
    for (uint16_t p = 0; p < points; p++) {
        if (x[p] == NOT_HEARD || mean[p] == NOT_HEARD) {
            continue;
        }
        const int16_t error = (int16_t)(mean[p] - followed(x[p], offset[p])); /* within 254 */
        const int16_t moved = (int16_t)(offset[p] + op->rate * error);        /* within 24,000 */
        offset[p] = (int16_t)(moved < -MOST_OFF ? -MOST_OFF : moved > MOST_OFF ? MOST_OFF : moved);
    }
}
