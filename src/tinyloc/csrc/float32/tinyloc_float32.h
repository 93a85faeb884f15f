/* The operators of Mamba in floating point: what quant/float_graph.py computes, in 32 bits. For cores with an FPU.
   No mathematical library is needed: the exponential, the logarithm and the root are made here, of additions and
   products alone, so that every core gives the same numbers. Nothing here allocates or uses a global variable. */
#ifndef TINYLOC_FLOAT32_H
#define TINYLOC_FLOAT32_H

#include <stdint.h>

/* 2^x within 2e-7 of it; 0 below 2^-126. x below 127. */
float tinyloc_float32_exp2(float x);

/* y[i] = table[x[i] + 128], table [256]; or x[i], and fill where that is -128. */
void tinyloc_float32_lookup(const float *table, uint16_t size, const int8_t *x, float *y);
void tinyloc_float32_fill(float fill, uint16_t size, const int8_t *x, float *y);

/* y[o] = bias[o] + sum_i weight[o][i] * x[i]. */
void tinyloc_float32_linear(const float *weight, const float *bias, uint16_t outputs, uint16_t inputs, const float *x,
                            float *y);

/* y = x / sqrt(mean(x^2) + epsilon). */
void tinyloc_float32_rms_norm(float epsilon, uint16_t size, const float *x, float *y);

/* Causal convolution; past [channels][taps - 1], oldest first, is read and moved on. weight [channels][taps]. */
void tinyloc_float32_conv(const float *weight, const float *bias, uint16_t channels, uint16_t taps, float *past,
                          const float *x, float *y);

/* x / (1 + e^-x); log(1 + e^x). x and y may be one. */
void tinyloc_float32_silu(uint16_t size, const float *x, float *y);
void tinyloc_float32_softplus(uint16_t size, const float *x, float *y);

/* The selective scan, one step: h = 2^(dt * rate) h + dt * x * b; y = h c + skip * x. rate [channels][states] is
   A * log2(e); h [channels][states] is read and written. */
void tinyloc_float32_scan(const float *rate, const float *skip, uint16_t channels, uint16_t states, float *h,
                          const float *dt, const float *b, const float *c, const float *x, float *y);

/* y = a * b; y = a + b. */
void tinyloc_float32_multiply(uint16_t size, const float *a, const float *b, float *y);
void tinyloc_float32_add(uint16_t size, const float *a, const float *b, float *y);

/* The index of the largest score, the first of equals. size 1..255. */
uint8_t tinyloc_float32_highest(const float *scores, uint8_t size);

#endif
