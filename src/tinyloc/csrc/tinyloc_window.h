/* The operators of a whole window: they run once, when its last step has come. Rows lie one after the other.
   Same rules as in tinyloc_kernels.h. */
#ifndef TINYLOC_WINDOW_H
#define TINYLOC_WINDOW_H

#include "tinyloc_arithmetic.h"

/* ---------------------------------------------------------------- constants of the operators, in flash */

/* As tinyloc_linear, where inputs are a multiple of 8 and factor.lift is 0. low: -limit, or 0 where a Relu is
   taken along. */
typedef struct {
    TINYLOC_FLASH int8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t outputs, inputs;
    tinyloc_factor factor;
    int16_t low;
} tinyloc_rows_linear;

typedef struct {
    int32_t score_multiplier, y_multiplier;
    uint16_t others, size, heads;
    uint8_t score_shift, y_shift;
    int16_t limit;
} tinyloc_attention;

/* weight [outputs][taps * inputs], tap by tap, oldest first. */
typedef struct {
    TINYLOC_FLASH int8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t x_rows, inputs, outputs, taps, stride, past;
    tinyloc_factor factor;
} tinyloc_rows_conv;

/* transitions [rooms][rooms] from, to. */
typedef struct {
    TINYLOC_FLASH int16_t *transitions;
    TINYLOC_FLASH int16_t *start;
    TINYLOC_FLASH int16_t *end;
    uint16_t rows, rooms;
    int16_t limit;
} tinyloc_viterbi;

/* ------------------------------------------------------------------------------------------- operators */

/* rows[at] = x. */
void tinyloc_collect_16(int16_t *rows, uint16_t at, uint16_t size, const int16_t *x);
void tinyloc_collect_8(int8_t *rows, uint16_t at, uint16_t size, const int8_t *x);

/* y = clamp(x + table), count elements. x and y may be the same. */
void tinyloc_position(TINYLOC_FLASH int16_t *table, uint16_t count, int16_t limit, const int16_t *x, int16_t *y);

/* The same and quicker, where count is even. */
void tinyloc_rows_position(TINYLOC_FLASH int16_t *table, uint16_t count, int16_t limit, const int16_t *x, int16_t *y);

/* As tinyloc_linear_16_16, on every row: x [rows][inputs], y [rows][outputs], apart. */
void tinyloc_rows_linear_16(TINYLOC_FLASH tinyloc_rows_linear *op, uint16_t rows, const int16_t *x, int16_t *y);

/* q, y [rows][size], k, v [others][size]; scratch holds 4 bytes for each of the others. y may be q. */
void tinyloc_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                          const int16_t *k, const int16_t *v, int16_t *y);
/* The same and quicker, where size is at most 9361, a head's width even, score_shift above 31 and y_shift above 32.
   scratch holds 8 bytes for each of the others and, where their number is odd, for one more. */
void tinyloc_rows_attention_16(TINYLOC_FLASH tinyloc_attention *op, int32_t *scratch, uint16_t rows, const int16_t *q,
                               const int16_t *k, const int16_t *v, int16_t *y);

/* y = clamp(requantise(sum over rows)). */
void tinyloc_mean_rows(uint16_t rows, uint16_t size, int32_t multiplier, uint8_t shift, int16_t limit,
                       const int16_t *x, int16_t *y);

/* The same and quicker, where size is even and shift above 32. */
void tinyloc_rows_mean(uint16_t rows, uint16_t size, int32_t multiplier, uint8_t shift, int16_t limit,
                       const int16_t *x, int16_t *y);

/* y = the last of the rows. */
void tinyloc_last_row(uint16_t rows, uint16_t size, const int16_t *x, int16_t *y);

/* Convolution over rows; rows outside the window count as 0. y [rows][outputs] are those from `first_row` on. */
void tinyloc_conv_rows_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y);

/* The same and quicker, where inputs and outputs are multiples of 4 and factor.lift is 0. */
void tinyloc_rows_conv_16(TINYLOC_FLASH tinyloc_rows_conv *op, uint16_t first_row, uint16_t rows, const int16_t *x,
                          int16_t *y);

/* y has a row of a, of b and of c in turn. */
void tinyloc_interleave(uint16_t rows, uint16_t size, const int16_t *a, const int16_t *b, const int16_t *c,
                        int16_t *y);

/* scratch holds 8 bytes for each room. */
void tinyloc_viterbi_16(TINYLOC_FLASH tinyloc_viterbi *op, int32_t *scratch, const int16_t *x, int16_t *y);

/* Six statistics of each point: y [6][points]. rows 1..256. */
void tinyloc_statistics(uint16_t rows, uint16_t points, const int8_t *x, int16_t *y);

extern TINYLOC_FLASH uint16_t tinyloc_reciprocal_table[65]; /* 1 / (1 + i/64), Q15; generated */

#endif
