/* Weights of 4 bits, two to a byte: the even one in the low nibble, the odd one in the high, each as weight + 8
   (1..15). A row begins with a byte of its own; the high nibble behind an odd end is not read. Same rules as in
   tinyloc_kernels.h. */
#ifndef TINYLOC_PACKED_H
#define TINYLOC_PACKED_H

#include "tinyloc_arithmetic.h"

/* Matrix [outputs][inputs], row by row; one bias and multiplier a row. */
typedef struct {
    TINYLOC_FLASH uint8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t outputs, inputs;
    tinyloc_factor factor;
} tinyloc_packed_linear;

/* Table [256] int16, "not heard" first; matrix [inputs][outputs], input by input; one bias and multiplier
   an output. */
typedef struct {
    TINYLOC_FLASH int16_t *table;
    TINYLOC_FLASH uint8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t outputs, inputs;
    tinyloc_factor factor;
} tinyloc_packed_embed;

/* As tinyloc_linear. x [inputs], y [outputs], apart. */
void tinyloc_packed_linear_8_16(TINYLOC_FLASH tinyloc_packed_linear *op, const int8_t *x, int16_t *y);
void tinyloc_packed_linear_8_8(TINYLOC_FLASH tinyloc_packed_linear *op, const int8_t *x, int8_t *y);
void tinyloc_packed_linear_16_16(TINYLOC_FLASH tinyloc_packed_linear *op, const int16_t *x, int16_t *y);
void tinyloc_packed_linear_16_8(TINYLOC_FLASH tinyloc_packed_linear *op, const int16_t *x, int8_t *y);

/* As tinyloc_embed_16; sums [outputs] is scratch. */
void tinyloc_packed_embed_16(TINYLOC_FLASH tinyloc_packed_embed *op, int32_t *sums, const int8_t *x, int16_t *y);

#endif
