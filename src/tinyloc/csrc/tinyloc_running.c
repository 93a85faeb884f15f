/* What a window has said so far of each signal: the largest and the mean of what was heard. */
#include "tinyloc_kernels.h"

#define NOT_HEARD (-128)
#define MOST_HEARD 256 /* so that a sum stays within 16 bits: 256 x 127 */

/* floor(total / count + 1/2) for |total| <= 127 count, count 1..256, bit by bit: no division instruction. */
static int8_t rounded_mean(int16_t total, int16_t count)
{
    const int32_t twice = 2 * (int32_t)count;
    int32_t rest = 2 * ((int32_t)total + 128 * (int32_t)count) + count; /* of the mean lifted to 1..255 */
    int32_t mean = 0;
    for (uint8_t bit = 8; bit-- > 0;) {
        const int32_t part = twice << bit;
        if (rest >= part) {
            rest -= part;
            mean += (int32_t)1 << bit;
        }
    }
    return (int8_t)(mean - 128);
}

void tinyloc_running(uint16_t points, int8_t *largest, int16_t *total, int16_t *count, const int8_t *x,
                     int8_t *y)
{
    int8_t *const most = y + points, *const mean = most + points;
    for (uint16_t p = 0; p < points; p++) {
        const int8_t sample = x[p];
        if (sample != NOT_HEARD) {
            if (count[p] == 0 || sample > largest[p]) {
                largest[p] = sample;
            }
            if (count[p] < MOST_HEARD) {
                total[p] = (int16_t)(total[p] + sample);
                count[p]++;
            }
        }
        y[p] = sample;
        most[p] = count[p] > 0 ? largest[p] : NOT_HEARD;
        mean[p] = count[p] > 0 ? rounded_mean(total[p], count[p]) : NOT_HEARD;
    }
}
