/* A probability for each room, and whether the signal is far from all of them. */
#include "tinyloc_answer.h"

#define TINYLOC_FARTHEST 32766L

/* 2^-(E * 2^-16) in Q15 of how far a score stands behind the highest. */
static uint32_t weight(TINYLOC_FLASH tinyloc_probability *op, int32_t behind)
{
    const uint64_t exponent = ((uint64_t)(uint32_t)behind * (uint32_t)op->multiplier) >> op->shift;
    return (uint32_t)tinyloc_power(exponent > 0xFFFFF ? 0xFFFFF : (int32_t)exponent);
}

void tinyloc_probability_16(TINYLOC_FLASH tinyloc_probability *op, const int16_t *x, uint8_t *y)
{
    int32_t largest = x[0];
    for (uint16_t k = 1; k < op->rooms; k++) {
        largest = x[k] > largest ? x[k] : largest;
    }
    uint32_t total = 0; /* below 2^23: at most 255 rooms of 32767 */
    for (uint16_t k = 0; k < op->rooms; k++) {
        total += weight(op, largest - x[k]);
    }
    for (uint16_t k = 0; k < op->rooms; k++) {
        /* floor((510 e + total) / (2 total)), below 256, bit by bit: no division instruction is needed */
        uint32_t rest = 510U * weight(op, largest - x[k]) + total;
        uint32_t quotient = 0, part = total << 8;
        for (uint16_t bit = 128; bit != 0; bit >>= 1, part >>= 1) {
            if (rest >= part) {
                rest -= part;
                quotient |= bit;
            }
        }
        y[k] = (uint8_t)quotient;
    }
}

void tinyloc_novelty_8(TINYLOC_FLASH tinyloc_novelty *op, int16_t *level, const int8_t *x, uint8_t *y)
{
    TINYLOC_FLASH int8_t *centre = op->centre;
    int32_t nearest = TINYLOC_FARTHEST;
    for (uint16_t k = 0; k < op->rooms; k++) {
        int32_t distance = 0;
        for (uint16_t p = 0; p < op->points; p++) {
            const int16_t heard = (int16_t)(x[p] > op->floor ? x[p] : op->floor);
            const int16_t apart = (int16_t)(heard - *centre++);
            distance += apart < 0 ? -apart : apart;
        }
        nearest = distance < nearest ? distance : nearest;
    }
    int32_t now = nearest;
    if (level[0] > 0) {
        const int32_t before = level[0] - 1, half = ((int32_t)1 << op->smoothing) >> 1;
        now = before + ((nearest - before + half) >> op->smoothing);
    }
    level[0] = (int16_t)(now + 1);
    *y = now > op->threshold;
}
