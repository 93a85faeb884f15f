/* The operators of the integer graph: one function each, with the same name and meaning as the method in
   quant/reference.py and the section in docs/NUMERICS.md, and the same bits.

   A suffix names stored widths: linear_8_16 reads int8 and writes int16. Vectors are the caller's; nothing
   here allocates, divides, uses floating point, recursion or a global variable. No argument may be NULL. */
#ifndef TINYLOC_KERNELS_H
#define TINYLOC_KERNELS_H

#include "tinyloc_arithmetic.h"

/* ---------------------------------------------------------------- constants of the operators, in flash */

/* Matrix [outputs][inputs] int8, row by row; one bias and multiplier a row. For 16-bit inputs each whole
   group of four weights stands in the order 0, 2, 1, 3: the order in which Arm's DSP extension unpacks bytes. */
typedef struct {
    TINYLOC_FLASH int8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t outputs, inputs;
    tinyloc_factor factor;
} tinyloc_linear;

/* Table [256] int16, "not heard" first; matrix [inputs][outputs] int8, input by input; one bias and
   multiplier an output. */
typedef struct {
    TINYLOC_FLASH int16_t *table;
    TINYLOC_FLASH int8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t outputs, inputs;
    tinyloc_factor factor;
} tinyloc_embed;

/* One filter [taps] int8 a channel, last tap newest. */
typedef struct {
    TINYLOC_FLASH int8_t *weight;
    TINYLOC_FLASH int32_t *bias;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t channels, taps;
    tinyloc_factor factor;
} tinyloc_conv;

/* epsilon: 16..2^40; shift: -2..10. */
typedef struct {
    uint64_t epsilon;
    uint16_t size;
    int8_t shift;
    int16_t limit;
} tinyloc_rms_norm;

/* mean = requantise(sum, mean_multiplier, mean_shift); gain within 16383, gain_shift 1..29, bias within 2^29 and the
   half of gain_shift, 2^(gain_shift - 1), added to it. */
typedef struct {
    TINYLOC_FLASH int16_t *gain;
    TINYLOC_FLASH int32_t *bias;
    uint64_t epsilon;
    int32_t mean_multiplier;
    uint16_t size;
    uint8_t mean_shift, gain_shift;
    int8_t shift;
    int16_t limit;
} tinyloc_layer_norm;

/* decay [channels][states], never negative: -A * log2(e) in units of 2^-(16 + decay_shift) per unit of dt,
   decay_shift 0..16. u: lift 0, limit 32767; y.lift is how far x is shifted up before it meets skip. */
typedef struct {
    TINYLOC_FLASH int16_t *decay;
    TINYLOC_FLASH int32_t *skip;
    int32_t u_multiplier, y_multiplier;
    uint16_t channels, states;
    tinyloc_factor u, y;
    uint8_t decay_shift;
} tinyloc_scan;

/* factor.lift is 0. */
typedef struct {
    int32_t multiplier;
    tinyloc_factor factor;
} tinyloc_multiply;

typedef struct {
    int32_t a_multiplier, b_multiplier;
    tinyloc_factor factor;
} tinyloc_add;

typedef struct {
    TINYLOC_FLASH int16_t *offset;
    TINYLOC_FLASH int32_t *multiplier;
    uint16_t size;
    tinyloc_factor factor;
} tinyloc_standardise;

/* Inner nodes of a tree in preorder, its leaves from left to right, tree after tree. left: inner nodes on a
   node's left side; inner: inner nodes of a tree, which has one leaf more; room: of each leaf. The suffix names
   the width of the signal and of a feature's number. */
#define TINYLOC_TREES(name, signal_t, feature_t)                                                               \
    typedef struct {                                                                                           \
        TINYLOC_FLASH feature_t *feature;                                                                      \
        TINYLOC_FLASH signal_t *threshold;                                                                     \
        TINYLOC_FLASH uint8_t *left, *inner, *room;                                                            \
        uint16_t trees, rooms;                                                                                 \
    } name;

TINYLOC_TREES(tinyloc_trees_8_8, int8_t, uint8_t)
TINYLOC_TREES(tinyloc_trees_8_16, int8_t, uint16_t)
TINYLOC_TREES(tinyloc_trees_16_8, int16_t, uint8_t)
TINYLOC_TREES(tinyloc_trees_16_16, int16_t, uint16_t)

/* ------------------------------------------------------------------------------------------- operators */

/* y [3][points] = x, the largest heard, the mean of what was heard since the state was zero; -128: not heard.
   largest, total and count [points] are the state, read and moved on. */
void tinyloc_running(uint16_t points, int8_t *largest, int16_t *total, int16_t *count, const int8_t *x,
                     int8_t *y);

/* y[i] = table[x[i] + 128], table [256]. x and an int8 y may be the same vector. */
void tinyloc_lookup_8(TINYLOC_FLASH int8_t *table, uint16_t size, const int8_t *x, int8_t *y);
void tinyloc_lookup_16(TINYLOC_FLASH int16_t *table, uint16_t size, const int8_t *x, int16_t *y);

/* The same for a table that changes -128 alone: y[i] = x[i], or fill where that is -128. */
void tinyloc_fill_8(int8_t fill, uint16_t size, const int8_t *x, int8_t *y);
void tinyloc_fill_16(int16_t fill, uint16_t size, const int8_t *x, int16_t *y);

/* y[i] = table [257] at x[i], between its points by a straight line. x and y may be the same vector. */
void tinyloc_curve(TINYLOC_FLASH int16_t *table, uint16_t size, const int16_t *x, int16_t *y);

/* y[o] = clamp(requantise(bias[o] + sum_i weight[o][i] * x[i])). x [inputs], y [outputs], apart. */
void tinyloc_linear_8_16(TINYLOC_FLASH tinyloc_linear *op, const int8_t *x, int16_t *y);
void tinyloc_linear_8_8(TINYLOC_FLASH tinyloc_linear *op, const int8_t *x, int8_t *y);
void tinyloc_linear_16_16(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, int16_t *y);
void tinyloc_linear_16_8(TINYLOC_FLASH tinyloc_linear *op, const int16_t *x, int8_t *y);

/* y[o] = clamp(requantise(bias[o] + sum_i weight[i][o] * table[x[i] + 128])); sums [outputs] is scratch. */
void tinyloc_embed_16(TINYLOC_FLASH tinyloc_embed *op, int32_t *sums, const int8_t *x, int16_t *y);

/* y = max(x, 0). x and y may be the same vector. */
void tinyloc_relu(uint16_t size, const int16_t *x, int16_t *y);

/* y = x / sqrt(mean(x^2) + epsilon). x and y may be the same vector. */
void tinyloc_rms_norm_16_16(TINYLOC_FLASH tinyloc_rms_norm *op, const int16_t *x, int16_t *y);
void tinyloc_rms_norm_16_8(TINYLOC_FLASH tinyloc_rms_norm *op, const int16_t *x, int8_t *y);

/* y = (x - mean) / deviation * gain + bias, row by row. x and y may be the same. */
void tinyloc_layer_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y);
/* The same and quicker, where size is even and mean_shift above 32. */
void tinyloc_rows_norm_16(TINYLOC_FLASH tinyloc_layer_norm *op, uint16_t rows, const int16_t *x, int16_t *y);

/* Causal convolution; past [channels][taps - 1], oldest first, is read and moved on. x and y may be one. */
void tinyloc_conv_16_16(TINYLOC_FLASH tinyloc_conv *op, int16_t *past, const int16_t *x, int16_t *y);
void tinyloc_conv_8_8(TINYLOC_FLASH tinyloc_conv *op, int8_t *past, const int8_t *x, int8_t *y);

/* The selective scan, one step; h [channels][states] is read and written. x, dt, y [channels] (y may be x or
   dt), b, c [states]; dt is never negative. An odd number of states has functions of its own. */
#define TINYLOC_SCAN_OF(name, x_t)                                                                             \
    void name(TINYLOC_FLASH tinyloc_scan *op, int16_t *h, const int16_t *dt, const int16_t *b,                 \
              const int16_t *c, const x_t *x, int16_t *y);

TINYLOC_SCAN_OF(tinyloc_scan_16, int16_t)
TINYLOC_SCAN_OF(tinyloc_scan_8, int8_t)
TINYLOC_SCAN_OF(tinyloc_scan_odd_16, int16_t)
TINYLOC_SCAN_OF(tinyloc_scan_odd_8, int8_t)

/* y = clamp(requantise(a * b)). y may be a or b where they are stored alike. */
void tinyloc_multiply_16_16(TINYLOC_FLASH tinyloc_multiply *op, uint16_t size, const int16_t *a, const int16_t *b, int16_t *y);
void tinyloc_multiply_8_8(TINYLOC_FLASH tinyloc_multiply *op, uint16_t size, const int16_t *a, const int8_t *b, int8_t *y);

/* y = clamp((a * a_multiplier + b * b_multiplier + half) >> shift). y may be a or b. */
void tinyloc_add_16(TINYLOC_FLASH tinyloc_add *op, uint16_t size, const int16_t *a, const int16_t *b, int16_t *y);
/* The same and quicker, where size is even. */
void tinyloc_rows_add_16(TINYLOC_FLASH tinyloc_add *op, uint16_t size, const int16_t *a, const int16_t *b,
                         int16_t *y);

/* y = clamp(requantise(x - offset)), each element by its own numbers. x and y may be the same. */
void tinyloc_standardise_16(TINYLOC_FLASH tinyloc_standardise *op, const int16_t *x, int16_t *y);

/* y[room] = how many trees vote for it. Lowering proved that every branch leads down. x and y apart. */
void tinyloc_forest_8_8(TINYLOC_FLASH tinyloc_trees_8_8 *op, const int8_t *x, int16_t *y);
void tinyloc_forest_8_16(TINYLOC_FLASH tinyloc_trees_8_16 *op, const int8_t *x, int16_t *y);
void tinyloc_forest_16_8(TINYLOC_FLASH tinyloc_trees_16_8 *op, const int16_t *x, int16_t *y);
void tinyloc_forest_16_16(TINYLOC_FLASH tinyloc_trees_16_16 *op, const int16_t *x, int16_t *y);

/* The index of the largest score, the first of equals. size 1..255. */
uint8_t tinyloc_highest(const int16_t *scores, uint8_t size);

#endif
